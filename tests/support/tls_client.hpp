// The client's side of TLS for tests: one connection under control, and a tunnel that lets plain test clients
// talk to a TLS port.
#pragma once

#include "support/http_client.hpp"

#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace llm_proxy::test {

struct tls_options {
  int highest = 0;            // the highest version, such as TLS1_2_VERSION; 0: any
  std::string protocols{};    // ALPN, in wire format
  std::string certificate{};  // the client's own, with its key
  std::string key{};
  std::string trusted{};  // the file to verify the server with; empty: accepts any server
  std::string suites{};   // the cipher suites of TLS 1.2, in OpenSSL's names; empty: OpenSSL's choice
};

/// One TLS connection. ok() says whether the handshake succeeded.
class tls_client {
 public:
  explicit tls_client(std::uint16_t port, const tls_options& how = {});
  bool ok() const { return ok_; }
  bool send(std::string_view bytes);
  /// Reads until the peer ends: `done` if it sent close_notify, `eof` if not.
  received read_to_end(milliseconds timeout);
  received read_until(std::string_view delimiter, milliseconds timeout);
  /// Returns the protocol that was chosen by ALPN.
  std::string protocol() const;
  /// Returns the server's certificate as DER.
  std::string server_certificate() const;
  SSL* native() { return ssl_.get(); }
  raw_connection& socket() { return socket_; }

 private:
  raw_connection socket_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  bool ok_ = false;
};

/// A plain port in front of a TLS port. It passes bytes, ends and resets on in both directions.
class tls_tunnel {
 public:
  explicit tls_tunnel(std::uint16_t behind);
  ~tls_tunnel();
  tls_tunnel(const tls_tunnel&) = delete;
  tls_tunnel& operator=(const tls_tunnel&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  void accept_all();
  void pass(int client) const;

  std::uint16_t behind_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> passing_;
  std::thread accepting_;
};

}  // namespace llm_proxy::test
