// A connected socket of a reactor, with or without TLS. Connections of clients and to upstreams both have
// one.
//
// Its owner learns from on_ready() when it may read or write, and then does so itself. With TLS in between, a
// read or a write returns would_block until TLS has bytes or room, and the same readiness drives both.
#pragma once

#include "http/loop/byte_buffer.hpp"
#include "http/loop/reactor.hpp"
#include "http/loop/ready_socket.hpp"
#include "http/tls/tls_session.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>
#include <string_view>

namespace llm_proxy {

class transport_socket {
 public:
  using error_code = boost::system::error_code;

  /// `home` is the reactor of the thread, and outlives the socket while that is open.
  explicit transport_socket(reactor& home) : home_{home} {}

  /// Takes the socket `descriptor` over and sets TCP_NODELAY. `owner` is told what happens on it, and must
  /// pass that to note() first. Throws std::system_error if the reactor can watch no more sockets.
  void open(int descriptor, watcher& owner);
  /// Takes the open socket and its TLS over from another owner, on the same thread. Throws as open() does,
  /// and then the socket is closed.
  void take(transport_socket& from, watcher& owner);
  bool is_open() const { return socket_.is_open(); }
  int descriptor() const { return socket_.descriptor(); }

  /// From now on bytes pass through TLS, after a handshake. Returns the session, for settings before that.
  tls_session& start_tls(SSL_CTX& context, tls_side side);
  /// Null without TLS.
  tls_session* tls() const { return tls_.get(); }
  /// Lets bytes pass unencrypted again.
  void stop_tls() { tls_.reset(); }
  /// Whether a handshake has to be made before bytes pass.
  bool wants_handshake() const { return tls_ && !tls_->shaken(); }
  /// Goes on with the handshake. Returns true if it is over, and then `ec` says how. If it returns false,
  /// call it again with the next on_ready().
  bool shake_hands(error_code& ec);

  void note(readiness now) {
    socket_.note(now);
    if (tls_) socket_.set_readable(true);  // TLS may have to write before it can read
  }
  /// Whether a read may find something: bytes, the end or an error.
  bool readable() const { return socket_.readable(); }
  /// Calls the owner's on_ready() again if there is something to read.
  void look_again() { socket_.look_again(); }
  /// Calls the owner's on_ready() again for writing, after other sockets have had their turn.
  void write_again() { socket_.write_again(); }
  /// Whether bytes, or the end of the connection, have arrived and were not read yet. A system call.
  bool has_unread() const;

  /// Like ready_socket::read(): bytes are lent to `in` until `in.keep()`.
  std::size_t read(byte_buffer& in, std::size_t limit, error_code& ec) {
    return tls_ ? read_tls(in, limit, ec) : socket_.read(in, limit, ec);
  }
  /// Sends `first` and then `second`, as far as the socket takes their bytes now. Returns the number of bytes
  /// that were sent. If the socket takes none, `ec` is would_block. The caller must then call again with the
  /// same bytes after the next on_ready(). They may be at another address.
  std::size_t write(std::string_view first, std::string_view second, error_code& ec) {
    return tls_ ? write_tls(first, second, ec) : socket_.write(first, second, ec);
  }

  /// Tells the peer that no more bytes follow. If it returns false, call it again when the socket takes
  /// bytes.
  bool end_sending();
  /// Closes the connection. A TLS peer learns by close_notify that everything was sent if `whole`.
  void close(bool whole);
  /// Closes the connection with a reset. Bytes that were not sent yet are lost.
  void reset() { socket_.reset(); }

 private:
  std::size_t read_tls(byte_buffer& in, std::size_t limit, error_code& ec);
  std::size_t write_tls(std::string_view first, std::string_view second, error_code& ec);

  reactor& home_;
  ready_socket socket_;
  std::unique_ptr<tls_session> tls_;  // null without TLS
};

}  // namespace llm_proxy
