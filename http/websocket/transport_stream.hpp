// A transport_socket as the AsyncStream on which Beast's WebSocket runs (Boost.Beast's manual, "Stream
// Types").
//
// Whoever uses it switches off the time limits of Beast's WebSocket, because timers of Asio's never end here
// (http/loop/loop_executor.hpp).
#pragma once

#include "http/loop/byte_buffer.hpp"
#include "http/loop/loop_executor.hpp"
#include "http/tls/transport_socket.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace llm_proxy {

/// Not final, because Asio derives from it to find out what it has.
class transport_stream : private watcher {
 public:
  using error_code = boost::system::error_code;
  using executor_type = loop_executor;

  /// `context` belongs to the thread and outlives the stream.
  explicit transport_stream(loop_context& context) : context_{context}, socket_{context.home()} {}
  ~transport_stream() { close(); }
  transport_stream(const transport_stream&) = delete;
  transport_stream& operator=(const transport_stream&) = delete;

  /// Takes over a connected socket, on which a TLS handshake, if any, was made, and the bytes that were read
  /// from it and not used. Throws std::system_error if the reactor can watch no more sockets.
  void take(transport_socket& from, std::string_view read_already);
  /// Closes at once. What is pending completes with operation_aborted, in the next round.
  void close();
  /// Tells the peer that no more bytes follow. Reading goes on.
  void end_sending() { socket_.end_sending(); }
  bool is_open() const { return socket_.is_open(); }
  int descriptor() const { return socket_.descriptor(); }
  /// Returns how many bytes the socket has taken so far.
  std::uint64_t bytes_written() const { return written_; }

  executor_type get_executor() const { return executor_type{context_}; }

  /// Reads once, as soon as bytes have arrived, and completes with an error_code and their number; the error
  /// is eof once the peer has closed. Only one read may be pending. The memory of `buffers` stays valid until
  /// then.
  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& given) {
          room_ = {};
          const auto end = boost::asio::buffer_sequence_end(given);
          for (auto at = boost::asio::buffer_sequence_begin(given); at != end && room_.size() == 0; ++at)
            room_ = boost::asio::mutable_buffer{*at};
          reading_ = pending_of(std::move(handler));
          begin_read();
        },
        token, buffers);
  }
  /// Writes once, as soon as the socket takes bytes. Only one write may be pending. Otherwise as
  /// async_read_some().
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& given) {
          to_write_ = {};
          std::size_t parts = 0;
          const auto end = boost::asio::buffer_sequence_end(given);
          for (auto at = boost::asio::buffer_sequence_begin(given); at != end && parts < to_write_.size();
               ++at) {
            const boost::asio::const_buffer part{*at};
            if (part.size() > 0) to_write_[parts++] = {static_cast<const char*>(part.data()), part.size()};
          }
          writing_ = pending_of(std::move(handler));
          begin_write();
        },
        token, buffers);
  }

 private:
  /// A read or a write whose end somebody waits for.
  class pending {
   public:
    virtual ~pending() = default;
    virtual void complete(const error_code& ec, std::size_t bytes) = 0;
  };
  template <class Handler>
  static std::unique_ptr<pending> pending_of(Handler handler) {
    class one final : public pending {
     public:
      explicit one(Handler&& given) : handler_{std::move(given)} {}
      void complete(const error_code& ec, std::size_t bytes) override { std::move(handler_)(ec, bytes); }

     private:
      Handler handler_;
    };
    return std::make_unique<one>(std::move(handler));
  }

  void on_ready(readiness now) override;
  void begin_read();
  void begin_write();
  std::size_t write_now(error_code& ec);
  void read_now();
  void complete_soon(std::unique_ptr<pending> what, const error_code& ec, std::size_t bytes);

  loop_context& context_;
  transport_socket socket_;
  byte_buffer in_;  // what was read already
  std::unique_ptr<pending> reading_;
  boost::asio::mutable_buffer room_;
  std::unique_ptr<pending> writing_;
  std::array<std::string_view, 2> to_write_;
  std::uint64_t written_ = 0;
};

// Beast finds these by the type of the stream, when a WebSocket has been closed by both sides (RFC 6455
// §7.1.1).

/// Ends the sending side. Whoever owns the stream closes it.
void teardown(boost::beast::role_type role, transport_stream& stream, boost::system::error_code& ec);

template <class Handler>
void async_teardown(boost::beast::role_type /*role*/, transport_stream& stream, Handler&& handler) {
  stream.end_sending();
  stream.get_executor().execute(
      [done = std::forward<Handler>(handler)]() mutable { std::move(done)(boost::system::error_code{}); });
}

inline void beast_close_socket(transport_stream& stream) {
  stream.close();
}

}  // namespace llm_proxy
