#include "support/tls_client.hpp"

#include <openssl/err.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> make_context(const tls_options& how) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write()
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (how.highest > 0) {
    SSL_CTX_set_security_level(context.get(), 0);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), how.highest);
  }
  if (!how.suites.empty() && SSL_CTX_set_cipher_list(context.get(), how.suites.c_str()) != 1) {
    throw std::runtime_error{"cipher suites"};
  }
  if (!how.certificate.empty() &&
      (SSL_CTX_use_certificate_file(context.get(), how.certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), how.key.c_str(), SSL_FILETYPE_PEM) != 1)) {
    throw std::runtime_error{"client certificate"};
  }
  if (!how.trusted.empty()) {
    SSL_CTX_load_verify_locations(context.get(), how.trusted.c_str(), nullptr);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

void set_timeout(int fd, milliseconds time) {
  const timeval limit{time.count() / 1000, time.count() % 1000 * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

/// Copies bytes between TLS and a client's socket. Both are non-blocking, and at most one block is held for
/// each side.
struct passage {
  SSL* tls;
  int client;
  std::string to_client{};
  std::string to_server{};
  bool client_ended = false;
  bool server_ended = false;
  bool broken = false;

  bool step() {
    std::array<char, 16 * 1024> block{};
    bool moved = false;
    ERR_clear_error();
    if (to_client.empty() && !server_ended) {
      const int n = SSL_read(tls, block.data(), static_cast<int>(block.size()));
      if (n > 0) {
        to_client.assign(block.data(), static_cast<std::size_t>(n));
        moved = true;
      } else if (const int why = SSL_get_error(tls, n); why == SSL_ERROR_ZERO_RETURN) {
        server_ended = moved = true;
      } else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        broken = true;
      }
    }
    if (!to_client.empty()) {
      const auto n = ::send(client, to_client.data(), to_client.size(), MSG_NOSIGNAL);
      if (n > 0) {
        to_client.erase(0, static_cast<std::size_t>(n));
        moved = true;
      } else if (errno != EAGAIN) {
        broken = true;
      }
    }
    if (server_ended && to_client.empty()) ::shutdown(client, SHUT_WR);
    if (to_server.empty() && !client_ended) {
      const auto n = ::recv(client, block.data(), block.size(), 0);
      if (n > 0) {
        to_server.assign(block.data(), static_cast<std::size_t>(n));
        moved = true;
      } else if (n == 0) {
        client_ended = true;
      } else if (errno != EAGAIN) {
        broken = true;
      }
    }
    if (!to_server.empty()) {
      const int n = SSL_write(tls, to_server.data(), static_cast<int>(to_server.size()));
      if (n > 0) {
        to_server.erase(0, static_cast<std::size_t>(n));
        moved = true;
      } else if (const int why = SSL_get_error(tls, n);
                 why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
        broken = true;
      }
    }
    return moved;
  }
};

}  // namespace

tls_client::tls_client(std::uint16_t port, const tls_options& how)
    : socket_{port}, context_{make_context(how)}, ssl_{SSL_new(context_.get()), SSL_free} {
  ::fcntl(socket_.fd(), F_SETFL, ::fcntl(socket_.fd(), F_GETFL) & ~O_NONBLOCK);
  set_timeout(socket_.fd(), milliseconds{10'000});
  SSL_set_fd(ssl_.get(), socket_.fd());
  if (!how.protocols.empty()) {
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(how.protocols.data()),
                        static_cast<unsigned>(how.protocols.size()));
  }
  ERR_clear_error();
  ok_ = SSL_connect(ssl_.get()) == 1;
}

bool tls_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ERR_clear_error();
    const int n = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

received tls_client::read_until(std::string_view delimiter, milliseconds timeout) {
  set_timeout(socket_.fd(), timeout);
  received got;
  std::array<char, 16 * 1024> block{};
  while (delimiter.empty() || got.bytes.find(delimiter) == std::string::npos) {
    ERR_clear_error();
    errno = 0;
    const int n = SSL_read(ssl_.get(), block.data(), static_cast<int>(block.size()));
    if (n > 0) {
      got.bytes.append(block.data(), static_cast<std::size_t>(n));
      continue;
    }
    const int why = SSL_get_error(ssl_.get(), n);
    got.end = why == SSL_ERROR_ZERO_RETURN                      ? read_end::done
              : why == SSL_ERROR_WANT_READ || errno == EAGAIN   ? read_end::timeout
              : why == SSL_ERROR_SYSCALL && errno == ECONNRESET ? read_end::reset
                                                                : read_end::eof;
    return got;
  }
  return got;
}

received tls_client::read_to_end(milliseconds timeout) {
  return read_until({}, timeout);
}

std::string tls_client::protocol() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &length);
  return {reinterpret_cast<const char*>(name), length};
}

std::string tls_client::server_certificate() const {
  X509* certificate = SSL_get1_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  std::string der{reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
  OPENSSL_free(bytes);
  X509_free(certificate);
  return der;
}

tls_tunnel::tls_tunnel(std::uint16_t behind) : behind_{behind} {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0) {
    throw std::runtime_error{"tunnel"};
  }
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread{[this] { accept_all(); }};
}

tls_tunnel::~tls_tunnel() {
  stop_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  for (auto& each : passing_) each.join();
  ::close(listener_);
}

void tls_tunnel::accept_all() {
  for (;;) {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) return;
    passing_.emplace_back([this, client] { pass(client); });
  }
}

void tls_tunnel::pass(int client) const {
  tls_client server{behind_};
  if (server.ok()) {
    for (const int fd : {client, server.socket().fd()}) {
      ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    passage both{server.native(), client};
    while (!stop_ && !both.broken && !(both.server_ended && both.to_client.empty() && both.client_ended)) {
      // A client that has left cannot be distinguished from one that has only half-closed. It is treated as
      // having left.
      if (both.client_ended && both.to_server.empty()) break;
      if (both.step()) continue;
      std::array<pollfd, 2> ends{pollfd{client, POLLIN, 0}, pollfd{server.socket().fd(), POLLIN, 0}};
      if (!both.to_client.empty()) ends[1].events = 0;
      if (both.client_ended) ends[0].fd = -1;
      ::poll(ends.data(), ends.size(), 2);
    }
    if (both.broken) {
      const linger at_once{1, 0};
      ::setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
  }
  ::close(client);
}

}  // namespace llm_proxy::test
