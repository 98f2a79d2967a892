// One side of one TLS connection, with OpenSSL. It never blocks on its socket; the owner waits for readiness.
#pragma once

#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Which side of a connection we are.
enum class tls_side : std::uint8_t { server, client };

class tls_session {
 public:
  /// What the socket must be ready for before the call is repeated.
  enum class wait : std::uint8_t { none, read, write };
  struct outcome {
    std::size_t bytes = 0;
    /// eof if the peer has closed, with or without close_notify. In Asio's SSL category if TLS failed: then
    /// the value is OpenSSL's error code.
    boost::system::error_code ec{};
    wait next = wait::none;
  };

  /// Makes the sessions of `context` fit this class: writes may be partial and are retried from any address,
  /// a read takes as much as there is, and an idle connection holds no buffers.
  static void prepare(SSL_CTX& context);

  /// `context` was prepared. `descriptor` outlives the session, which does not close it.
  tls_session(SSL_CTX& context, int descriptor, tls_side side);
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  outcome handshake();
  /// May still find bytes after a write has failed: a peer that refuses a request answers before it closes.
  outcome read(char* room, std::size_t size);
  /// If it has to wait, the next call must give the same bytes, at any address.
  outcome write(std::string_view bytes);
  /// Tells the peer that no more bytes follow (close_notify), if that is still possible.
  outcome say_goodbye();

  bool shaken() const { return shaken_; }
  /// OpenSSL's object, for settings before the handshake and for questions. Null if memory ran out.
  SSL* native() const { return ssl_.get(); }

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
  bool shaken_ = false;
  bool plain_http_ = false;
};

}  // namespace llm_proxy
