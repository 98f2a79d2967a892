// One client's socket, non-blocking. Knows nothing of HTTP.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstddef>
#include <string_view>
#include <utility>

namespace llm_proxy {

class downstream_socket {
 public:
  using tcp = boost::asio::ip::tcp;
  using error_code = boost::system::error_code;

  /// An accepted socket. Sets TCP_NODELAY and makes it non-blocking.
  downstream_socket(tcp::socket socket);  // NOLINT(google-explicit-constructor): an accepted socket is one

  /// Reads once, then `handler(error_code, bytes)`, never from within this call. `room` and the socket stay
  /// where they are until then.
  template <class Handler>
  void async_read_some(char* room, std::size_t size, Handler handler) {
    socket_.async_read_some(boost::asio::buffer(room, size), std::move(handler));
  }

  /// Sends what the socket takes now; `would_block` if that is nothing.
  std::size_t write_some(std::string_view bytes, error_code& ec) {
    return socket_.write_some(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  }

  /// `handler(error_code)` once the socket takes bytes again.
  template <class Handler>
  void async_wait_writable(Handler handler) {
    socket_.async_wait(tcp::socket::wait_write, std::move(handler));
  }

  /// Tells the client that no more bytes come.
  void end_sending();
  /// Closing the socket will reset the connection.
  void reset_on_close();
  void close();

 private:
  tcp::socket socket_;
};

}  // namespace llm_proxy
