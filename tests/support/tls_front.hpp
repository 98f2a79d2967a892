// TLS in front of a scripted upstream's port.
#pragma once

#include "support/http_client.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

/// Accepts one connection after the other. It copies one request and its answer, and then ends the connection
/// without a close_notify.
class tls_front {
 public:
  struct options {
    std::string certificate;  // may be a chain
    std::string key;
    std::string client_ca{};  // if set, clients need a certificate that this authority signed
    int highest = 0;          // the highest version, such as TLS1_2_VERSION; 0: any
  };

  tls_front(const options& how, std::uint16_t behind) : behind_{behind} {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context_.get(), how.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_.get(), how.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error{"certificate"};
    }
    if (how.highest > 0) SSL_CTX_set_max_proto_version(context_.get(), how.highest);
    if (!how.client_ca.empty()) {
      SSL_CTX_load_verify_file(context_.get(), how.client_ca.c_str());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
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
  std::string url() const { return "https://localhost:" + std::to_string(port_); }
  int served() const { return served_; }
  /// Returns the common names of the certificates that clients have shown, in order; "" for a client without
  /// one.
  std::vector<std::string> shown() const {
    const std::lock_guard held{lock_};
    return shown_;
  }

 private:
  void serve() {
    // A client that refuses the certificate may be gone when OpenSSL writes its session tickets.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    for (;;) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      const timeval limit{5, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const std::unique_ptr<SSL, decltype(&SSL_free)> tls{SSL_new(context_.get()), SSL_free};
      SSL_set_fd(tls.get(), fd);
      if (SSL_accept(tls.get()) == 1) {
        note_client(*tls);
        copy(*tls);
      } else {
        // The reason for the refusal must reach the client before the reset that unread bytes would cause.
        ::shutdown(fd, SHUT_WR);
        char block[4096];
        while (::recv(fd, block, sizeof block, 0) > 0) {
        }
      }
      ERR_clear_error();
      ::close(fd);
    }
  }

  void note_client(const SSL& tls) {
    char name[100] = "";
    if (const auto* certificate = SSL_get0_peer_certificate(&tls))
      X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    const std::lock_guard held{lock_};
    shown_.emplace_back(name);
  }

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
  mutable std::mutex lock_;
  std::vector<std::string> shown_;
  std::thread thread_;
};

}  // namespace llm_proxy::test
