// The socket of one client, with or without TLS, non-blocking. It knows nothing of HTTP.
//
// Its connection learns from on_ready() when it may read or write, and then does so itself. TLS in between
// returns would_block until it has bytes, and is driven by the same readiness.
#pragma once

#include "http/loop/byte_buffer.hpp"
#include "http/loop/reactor.hpp"
#include "http/loop/ready_socket.hpp"
#include "http/tls/tls_session.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

class downstream_socket {
 public:
  using error_code = boost::system::error_code;

  /// Takes an accepted socket over, for `owner` on the thread of `home`, and sets TCP_NODELAY. `tls`: the
  /// context for the TLS handshake; null if there is none.
  downstream_socket(reactor& home, boost::asio::ip::tcp::socket socket, watcher& owner, SSL_CTX* tls);

  /// Whether a handshake has to be made before bytes pass.
  bool wants_handshake() const { return tls_ && !tls_->shaken; }
  /// Goes on with the handshake. Returns true if it is over, and then `ec` says how. If it returns false,
  /// call it again with the next on_ready().
  bool shake_hands(error_code& ec);
  /// Says why the handshake failed. After that speak_plainly() lets the bytes that follow pass unencrypted,
  /// so that the client can be told.
  const std::string& handshake_fault() const { return tls_->session.reason(); }
  bool was_plain_http() const { return tls_->session.was_plain_http(); }
  void speak_plainly() { tls_.reset(); }

  /// Must be the first call in the owner's on_ready().
  void note(readiness now) {
    socket_.note(now);
    if (tls_) tls_->unread = true;  // TLS may have to write before it can read
  }
  /// Whether a read may find something: bytes, the end or an error.
  bool readable() const { return tls_ ? tls_->unread : socket_.readable(); }
  /// Calls on_ready() again if there is something to read.
  void look_again();

  /// Like ready_socket::read(): bytes are lent to `in` until `in.keep()`.
  std::size_t read(byte_buffer& in, std::size_t limit, error_code& ec) {
    return tls_ ? read_tls(in, limit, ec) : socket_.read(in, limit, ec);
  }
  /// Sends as much as the socket takes now. `would_block` if that is nothing: on_ready() says when it takes
  /// more, and the next call must then give the same bytes, at any address.
  std::size_t write_some(std::string_view bytes, error_code& ec) {
    return tls_ ? write_tls(bytes, ec) : socket_.write(bytes, {}, ec);
  }

  /// Returns the client's IP address (getpeername(2)), an IPv4 address always in IPv4's own form; empty if it
  /// is not known.
  std::string peer_address() const;
  /// Returns how many bytes our system has taken and the client's has not acknowledged (tcp(7), SIOCOUTQ).
  std::size_t unacknowledged() const;
  /// Tells the client that no more bytes follow. If it returns false, call it again when the socket takes
  /// bytes.
  bool end_sending();
  /// `whole`: the answer is complete, which a TLS client learns by close_notify.
  void close(bool whole);
  /// Closes the connection with a reset.
  void reset() { socket_.reset(); }

 private:
  struct tls_part {
    tls_part(SSL_CTX& context, int descriptor, reactor& thread, watcher& told)
        : session{context, descriptor}, home{thread}, owner{told} {}

    tls_session session;
    reactor& home;
    watcher& owner;
    bool shaken = false;
    bool unread = true;  // a read may find something
  };

  std::size_t read_tls(byte_buffer& in, std::size_t limit, error_code& ec);
  std::size_t write_tls(std::string_view bytes, error_code& ec);

  counted_socket counted_;
  ready_socket socket_;
  std::unique_ptr<tls_part> tls_;  // null without TLS
};

}  // namespace llm_proxy
