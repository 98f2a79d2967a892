// The server's side of one TLS connection, with OpenSSL. It never blocks on its socket; the owner waits for
// readiness.
#pragma once

#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

class tls_session {
 public:
  /// What the socket must be ready for before the call is repeated.
  enum class wait : std::uint8_t { none, read, write };
  struct outcome {
    std::size_t bytes = 0;
    boost::system::error_code ec{};  // eof if the client has closed, with or without close_notify
    wait next = wait::none;
  };

  /// `descriptor` outlives the session, which does not close it.
  tls_session(SSL_CTX& context, int descriptor);
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  outcome handshake();
  outcome read(char* room, std::size_t size);
  /// After `wait::write` the next call must give the same bytes, at any address.
  outcome write(std::string_view bytes);
  /// Tells the client that no more bytes follow (close_notify), if that is still possible.
  outcome say_goodbye();

  /// Returns why it failed, in OpenSSL's words.
  const std::string& reason() const { return reason_; }
  /// Whether it failed because the client speaks HTTP without TLS.
  bool was_plain_http() const { return plain_http_; }

 private:
  outcome judge(int result);

  int descriptor_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::string reason_;
  bool broken_ = false;
  bool plain_http_ = false;
};

}  // namespace llm_proxy
