// An https upstream: its certificate must be trusted and name the host.
#include "support/catch.hpp"
#include "support/certificate.hpp"
#include "support/upstream_chat.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

/// TLS in front of a scripted upstream's port: accepts one connection after the other and copies bytes.
class tls_front {
 public:
  tls_front(const certificate& cert, std::uint16_t behind) : behind_{behind} {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_file(context_.get(), cert.file().c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_.get(), cert.key().c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error{"certificate"};
    }
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 16) != 0) {
      throw std::runtime_error{"listen"};
    }
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~tls_front() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  tls_front(const tls_front&) = delete;
  tls_front& operator=(const tls_front&) = delete;
  std::uint16_t port() const { return port_; }
  int served() const { return served_; }

 private:
  void serve() {
    // A client that refuses the certificate is gone when OpenSSL writes its tickets.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      const timeval patience{5, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      const std::unique_ptr<SSL, decltype(&SSL_free)> tls{SSL_new(context_.get()), SSL_free};
      SSL_set_fd(tls.get(), fd);
      if (SSL_accept(tls.get()) == 1) copy(*tls);
      ERR_clear_error();
      ::close(fd);
    }
  }

  /// One request, then its answer, then the connection ends without a goodbye.
  void copy(SSL& tls) {
    ++served_;
    raw_connection upstream{behind_};
    std::string request;
    char block[16 * 1024];
    for (std::size_t whole = std::string::npos; request.size() < whole;) {
      const int n = SSL_read(&tls, block, sizeof block);
      if (n <= 0) return;
      request.append(block, static_cast<std::size_t>(n));
      const auto head = request.find("\r\n\r\n");
      const auto length = request.find("content-length: ");
      if (head == std::string::npos) continue;
      whole = head + 4 + (length < head ? std::stoul(request.substr(length + 16)) : 0);
    }
    upstream.send(request);
    for (;;) {
      const auto some = upstream.read_some(std::chrono::seconds{5});
      if (some.bytes.empty()) return;
      if (SSL_write(&tls, some.bytes.data(), static_cast<int>(some.bytes.size())) <= 0) return;
    }
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::uint16_t behind_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> served_{0};
  std::thread thread_;
};

/// Trusts `file` for as long as it lives.
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
  const tls_front front{cert, up.port()};
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
  const tls_front front{cert, up.port()};
  const auto port = std::to_string(front.port());
  const auto status_with = [&](const std::string& ca_file, const std::string& host) {
    auto values = litellm_settings("https://" + host + ":" + port);
    values.litellm_ca_file = ca_file;
    proxy service{values};
    return chat(service, chat_body("m")).status;
  };
  CHECK(status_with(cert.file(), "localhost") == 200);
  CHECK(status_with(cert.file(), "127.0.0.1") == 502);  // trusted, and for another name
  CHECK(status_with(other.file(), "localhost") == 502);
  const trusting system{cert.file()};
  CHECK(status_with("", "localhost") == 200);
  CHECK(status_with(other.file(), "localhost") == 502);
}

}  // namespace llm_proxy::test
