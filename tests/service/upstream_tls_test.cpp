// An https upstream: its certificate must be trusted and must name the host.
#include "support/catch.hpp"
#include "support/certificate.hpp"
#include "support/tls_front.hpp"
#include "support/upstream_chat.hpp"

#include <cstdlib>
#include <string>

namespace llm_proxy::test {

namespace {

/// Makes OpenSSL trust `file` as long as this object exists.
class trusting {
 public:
  explicit trusting(const std::string& file) { ::setenv("SSL_CERT_FILE", file.c_str(), 1); }
  ~trusting() { ::unsetenv("SSL_CERT_FILE"); }
  trusting(const trusting&) = delete;
  trusting& operator=(const trusting&) = delete;
};

}  // namespace

TEST_CASE("tls: an https upstream must have a trusted certificate that names it",
          "[service][upstream][tls]") {
  const certificate cert;
  const std::string big = R"({"a":")" + std::string(500'000, 'b') + "\"}";
  scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
    if (!is_chat(req)) {
      reply.json(200, R"({"data":[]})", {{"connection", "close"}});
    } else if (req.is_true("stream")) {
      reply.sse_head({{"connection", "close"}});
      reply.event(delta);
      reply.event(stop);
      reply.end_chunks();
    } else {
      reply.json(200, big, {{"connection", "close"}});
    }
    reply.close();
  }};
  const tls_front front{{cert.file(), cert.key()}, up.port()};
  const auto port = std::to_string(front.port());

  const auto refused = [&](const std::string& url) {
    proxy service{litellm_settings(url)};
    const auto answer = chat(service, chat_body("m"));
    CHECK(answer.status == 502);
    CHECK(contains(answer.body, R"("code":"upstream_unreachable")"));
    CHECK_FALSE(contains(answer.body, port));
  };
  refused("https://localhost:" + port);
  CHECK(chats_of(up).empty());

  const trusting trust{cert.file()};
  {
    proxy service{litellm_settings("https://localhost:" + port)};
    const auto answer = chat(service, chat_body("m", false, std::string(300'000, 'c')));
    CHECK(answer.status == 200);
    CHECK((answer.body == big));
    CHECK(wait_for_chat(up).body.size() > 300'000);
    const auto streamed = chat(service, chat_body("m", true));
    CHECK(streamed.complete);
    CHECK(streamed.body == "data: " + delta + "\n\ndata: " + stop + "\n\n");
  }
  up.clear_requests();
  refused("https://127.0.0.1:" + port);  // the certificate names localhost only
  CHECK(chats_of(up).empty());
}

TEST_CASE("tls: LITELLM_CA_FILE is trusted instead of the system's authorities", "[service][upstream][tls]") {
  const certificate cert, other;
  scripted_upstream up{[](const upstream_request&, upstream_reply& reply) {
    reply.json(200, R"({"data":[]})", {{"connection", "close"}});
    reply.close();
  }};
  const tls_front front{{cert.file(), cert.key()}, up.port()};
  const auto port = std::to_string(front.port());
  const auto status_with = [&](const std::string& ca_file, const std::string& host) {
    auto values = litellm_settings("https://" + host + ":" + port);
    values.litellm_ca_file = ca_file;
    proxy service{values};
    return chat(service, chat_body("m")).status;
  };
  CHECK(status_with(cert.file(), "localhost") == 200);
  CHECK(status_with(cert.file(), "127.0.0.1") == 502);  // trusted, but for another name
  CHECK(status_with(other.file(), "localhost") == 502);
  const trusting system{cert.file()};
  CHECK(status_with("", "localhost") == 200);
  CHECK(status_with(other.file(), "localhost") == 502);
}

}  // namespace llm_proxy::test
