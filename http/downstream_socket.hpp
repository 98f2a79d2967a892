// One client's socket, non-blocking. Knows nothing of HTTP.
//
// Its connection is told by on_ready() when it may read or write, and does both by itself: whatever stands
// between (TLS) answers would_block until it has something, and is driven by the same readiness.
#pragma once

#include "http/byte_buffer.hpp"
#include "http/reactor.hpp"
#include "http/ready_socket.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <string_view>

namespace llm_proxy {

class downstream_socket {
 public:
  using error_code = boost::system::error_code;

  /// An accepted socket, for `owner` on the thread of `home`. Sets TCP_NODELAY.
  downstream_socket(reactor& home, boost::asio::ip::tcp::socket socket, watcher& owner);

  /// The owner's on_ready() begins with it.
  void note(readiness now) { socket_.note(now); }
  /// A read may find something: bytes, an end or an error.
  bool readable() const { return socket_.readable(); }
  /// Comes back to on_ready() if there is something to read.
  void look_again() { socket_.look_again(); }

  /// As ready_socket::read(): what comes is lent to `in` until `in.keep()`.
  std::size_t read(byte_buffer& in, std::size_t limit, error_code& ec) { return socket_.read(in, limit, ec); }
  /// Sends what the socket takes now; `would_block` if that is nothing: on_ready() tells when it takes more.
  std::size_t write_some(std::string_view bytes, error_code& ec) { return socket_.write(bytes, {}, ec); }

  /// Tells the client that no more bytes come.
  void end_sending() { socket_.shutdown_send(); }
  void close() { socket_.close(); }
  /// Closes by a reset.
  void reset() { socket_.reset(); }

 private:
  ready_socket socket_;
};

}  // namespace llm_proxy
