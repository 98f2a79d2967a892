// One client's socket, plain or TLS, non-blocking. Knows nothing of HTTP.
//
// Its connection is told by on_ready() when it may read or write, and does both by itself: whatever stands
// between (TLS) answers would_block until it has something, and is driven by the same readiness.
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

  /// An accepted socket, for `owner` on the thread of `home`. Sets TCP_NODELAY. `tls`: what the client shakes
  /// hands with; null: it speaks plainly.
  downstream_socket(reactor& home, boost::asio::ip::tcp::socket socket, watcher& owner, SSL_CTX* tls);

  /// Bytes pass only after a handshake.
  bool wants_handshake() const { return tls_ && !tls_->shaken; }
  /// True when it is over, `ec` says how; false: again with the next on_ready().
  bool shake_hands(error_code& ec);
  /// Why the handshake failed. Then speak_plainly() lets what follows pass as it is, so that the end can be
  /// told.
  const std::string& handshake_fault() const { return tls_->session.reason(); }
  bool was_plain_http() const { return tls_->session.was_plain_http(); }
  void speak_plainly() { tls_.reset(); }

  /// The owner's on_ready() begins with it.
  void note(readiness now) {
    socket_.note(now);
    if (tls_) tls_->unread = true;  // reads may have waited for room to write, too
  }
  /// A read may find something: bytes, an end or an error.
  bool readable() const { return tls_ ? tls_->unread : socket_.readable(); }
  /// Comes back to on_ready() if there is something to read.
  void look_again();

  /// As ready_socket::read(): what comes is lent to `in` until `in.keep()`.
  std::size_t read(byte_buffer& in, std::size_t limit, error_code& ec) {
    return tls_ ? read_tls(in, limit, ec) : socket_.read(in, limit, ec);
  }
  /// Sends what the socket takes now; `would_block` if that is nothing: on_ready() tells when it takes more.
  /// Then the next call gives the same bytes, wherever they lie.
  std::size_t write_some(std::string_view bytes, error_code& ec) {
    return tls_ ? write_tls(bytes, ec) : socket_.write(bytes, {}, ec);
  }

  /// The other end's IP address, of IPv4 in its own form on a socket for both; empty if it is not known
  /// (getpeername(2)).
  std::string peer_address() const;
  /// Bytes that the system has taken and the client's has not acknowledged (tcp(7), SIOCOUTQ).
  std::size_t unacknowledged() const;
  /// Tells the client that no more bytes come; false: again when the socket takes bytes.
  bool end_sending();
  /// `whole`: nothing is cut off by this; a TLS client is told so.
  void close(bool whole);
  /// Closes by a reset.
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
  std::unique_ptr<tls_part> tls_;  // null: plain
};

}  // namespace llm_proxy
