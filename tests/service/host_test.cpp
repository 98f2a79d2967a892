// While the default key is in use, a web page whose host name resolves to this machine (DNS rebinding) must
// not get any answer.
#include "support/keys_file.hpp"
#include "support/program.hpp"
#include "support/raw_requests.hpp"
#include "support/upstream_chat.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <string_view>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

settings with_default_key() {
  auto values = mock_settings();
  values.internal_api_key = settings{}.internal_api_key;
  return values;
}

response ask(std::uint16_t port, std::string_view path, const std::string& host,
             const std::string& origin = {}, std::string_view method = "GET") {
  header_list headers{{"host", host}, {"x-internal-auth", settings{}.internal_api_key}};
  if (!origin.empty()) headers.emplace_back("origin", origin);
  return request(port, method, path, headers, method == "POST" ? chat_body("m") : "");
}

/// Returns a listening socket on all addresses of the machine.
int listen_everywhere() {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor acceptor{io, {boost::asio::ip::address_v4::any(), 0}};
  return acceptor.release();
}

}  // namespace

TEST_CASE(
    "host: with the default key a request for a foreign host, or from a foreign page, is a 403 on every path",
    "[service][host]") {
  auto values = with_default_key();
  values.admin_port = free_port();
  proxy service{values};
  for (const auto* path : {"/", "/docs", "/openapi.json", "/metrics", "/ui/events", "/v1/models",
                           "/no/such/path", "/healthy", "/v1/health"}) {
    INFO(path);
    for (const auto& [host, origin] : {std::pair<std::string, std::string>{"evil.example:8002", ""},
                                       {"localhost.evil.example", ""},
                                       {"0.0.0.0", ""},
                                       {"localhost", "http://evil.example"},
                                       {"127.0.0.1:8002", "null"}}) {
      INFO(host << ' ' << origin);
      const auto refused = ask(service.port(), path, host, origin);
      CHECK(refused.status == 403);
      CHECK(holds(refused.body, R"("code":"host_not_allowed")"));
      CHECK(holds(refused.body, "INTERNAL_API_KEY"));
    }
  }
  const auto chat = ask(service.port(), "/v1/chat/completions", "evil.example", {}, "POST");
  CHECK(chat.status == 403);
  CHECK(holds(ask(service.port(), "/v1/messages", "evil.example", {}, "POST").body, R"("type":"error")"));
  // On ADMIN_PORT a page could read the names of all keys.
  CHECK(ask(values.admin_port, "/metrics", "evil.example").status == 403);
  CHECK(ask(values.admin_port, "/metrics", "127.0.0.1:9102").status == 200);
}

TEST_CASE("host: with the default key this machine's own names and pages are served", "[service][host]") {
  proxy service{with_default_key()};
  const auto own = "127.0.0.1:" + std::to_string(service.port());
  for (const auto& host :
       {std::string{"localhost"}, std::string{"LOCALHOST:8002"}, std::string{"app.localhost"}, own,
        std::string{"[::1]:8002"}, std::string{"127.9.9.9"}}) {
    INFO(host);
    CHECK(ask(service.port(), "/docs", host).status == 200);
    CHECK(ask(service.port(), "/v1/models", host, "http://" + host).status == 200);
    CHECK(ask(service.port(), "/v1/chat/completions", host, "https://localhost:3000", "POST").status == 200);
  }
  // HTTP/1.0 needs no Host. It is allowed, because no browser speaks it.
  CHECK(say(service.port(), "GET /docs HTTP/1.0\r\n\r\n").status == 200);
}

TEST_CASE("host: health is answered for any host and any page", "[service][host]") {
  proxy service{with_default_key()};
  for (const auto* path : {"/health", "/health/live", "/health/ready", "/health?x=1"}) {
    INFO(path);
    CHECK(ask(service.port(), path, "evil.example", "http://evil.example").status == 200);
  }
}

TEST_CASE("host: the rule does not apply with a key other than the default one or with a file of keys",
          "[service][host]") {
  {
    proxy service{mock_settings()};
    CHECK(request(service.port(), "GET", "/docs", {{"host", "evil.example"}}).status == 200);
    CHECK(request(service.port(), "GET", "/v1/models",
                  {{"host", "llm.example"}, {"origin", "https://app.example"}, key_field})
              .status == 200);
  }
  const keys_file file{{{"team-a", "key-of-a"}}};
  auto values = with_default_key();
  values.internal_api_keys_file = file.path();
  proxy service{values};
  CHECK(
      request(service.port(), "GET", "/v1/models", {{"host", "llm.example"}, {"x-internal-auth", "key-of-a"}})
          .status == 200);
  CHECK(ask(service.port(), "/v1/models", "llm.example").status == 401);  // the default key is invalid now
}

TEST_CASE("program: the default key is refused where other machines can reach it, mock or not",
          "[service][program][host]") {
  for (const auto* mode : {"mock", "litellm"}) {
    for (const auto* host : {"0.0.0.0", "::", "192.0.2.1"}) {
      child_process refused{
          program,
          with({{"LLM_PROXY__LLM_MODE", mode}, {"LLM_PROXY__HOST", host}, {"LLM_PROXY__PORT", "0"}})};
      CHECK(refused.wait(long_patience) == 2);
      CHECK(holds(refused.err(), "LLM_PROXY__INTERNAL_API_KEY"));
      CHECK(holds(refused.err(), host));
    }
    // If a socket was handed over its address counts, not HOST.
    auto how = with({{"LLM_PROXY__LLM_MODE", mode}, {"LLM_PROXY__HOST", "127.0.0.1"}});
    how.listening = listen_everywhere();
    child_process handed{program, how};
    CHECK(handed.wait(long_patience) == 1);
    CHECK(holds(handed.err(), "LISTEN_FDS"));
    CHECK(holds(handed.err(), "LLM_PROXY__INTERNAL_API_KEY"));
    ::close(how.listening);
  }
}

}  // namespace llm_proxy::test
