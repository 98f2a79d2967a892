// One end of a WebSocket (RFC 6455): whole messages in and out, pings, and the end of the connection.
//
//   accept() ──▶ open: on_message() … send() ──▶ close() or the peer's close ──▶ on_closed(), exactly once
//
// The frames are Boost.Beast's work. Extensions (permessage-deflate) are not offered: each would cost a
// connection 300 KiB, and the messages are encrypted or local anyway.
#pragma once

#include "http/loop/deadlines.hpp"
#include "http/websocket/transport_stream.hpp"
#include "http/wire/message.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Why a WebSocket is closed (RFC 6455 §7.4.1).
enum class websocket_close : std::uint16_t {
  normal = 1000,
  going_away = 1001,  ///< the service shuts down
  protocol_error = 1002,
  not_accepted = 1003,      ///< a kind of message that is not taken
  policy_violation = 1008,  ///< also: the peer does not read
  too_big = 1009,
  internal_error = 1011,
};

/// Is told what happens on a WebSocket.
class websocket_events {
 public:
  /// A message has arrived. `is_text` is false for a binary one. The view is valid during the call.
  virtual void on_message(std::string_view message, bool is_text) = 0;
  /// A message was sent to its end, so fewer bytes wait (backlog()).
  virtual void on_sent() = 0;
  /// The connection is closed. `why` is for the log: what the peer said, or what went wrong.
  virtual void on_closed(std::string_view why) = 0;

 protected:
  ~websocket_events() = default;
};

struct websocket_limits {
  std::size_t max_message;                  ///< bytes of a message that comes in; above that 1009
  std::chrono::milliseconds write_timeout;  ///< for a peer that does not read; 0 = none
  std::chrono::milliseconds ping_pause = std::chrono::seconds{20};
  /// A peer of which nothing came for this long, not even a pong, has gone.
  std::chrono::milliseconds silence = std::chrono::seconds{60};
};

class websocket final : public std::enable_shared_from_this<websocket> {
 public:
  /// `context`, `timers` and `events` outlive the open WebSocket.
  websocket(loop_context& context, deadlines& timers, const websocket_limits& limits,
            websocket_events& events);

  /// Takes a client's socket over and answers its request with a 101 that has `headers`. `asked` must have
  /// passed check_upgrade() (handshake.hpp). `read_already`: the bytes that came after the request's head.
  void accept(transport_socket& from, std::string_view read_already, const request_head& asked,
              const header_list& headers);
  /// Sends a text message after those that wait.
  void send(std::string&& message);
  /// Closes after the messages that wait, with a reason of at most 123 bytes. Later messages are dropped.
  void close(websocket_close code, std::string_view reason);
  /// Closes at once, without a word to the peer. on_closed() is called before it returns.
  void abort(std::string_view why);

  /// Returns how many bytes of messages wait, those of the message that is being sent included.
  std::size_t backlog() const { return backlog_; }
  bool is_open() const { return stage_ != stage::closed; }
  /// Returns the peer's IP address; empty if the socket is closed. A system call.
  std::string peer_address() const;

 private:
  enum class stage : std::uint8_t { opening, open, closing, closed };
  using error_code = boost::system::error_code;

  /// Returns a completion handler that calls `then`, unless the WebSocket was closed meanwhile.
  template <class Then>
  auto calling(Then then);
  void read_next();
  void on_read(const error_code& ec);
  void write_next();
  void on_written(const error_code& ec);
  void begin_close();
  void on_ping_due();
  void on_write_deadline();
  void end(std::string_view why);

  using stream_type = boost::beast::websocket::stream<transport_stream, false>;

  stream_type stream_;
  websocket_limits limits_;
  websocket_events* events_;
  boost::beast::flat_buffer incoming_;
  std::deque<std::string> outgoing_;  // the first one is being sent if is_writing_
  std::size_t backlog_ = 0;
  std::uint64_t written_ = 0;  // bytes that the socket had taken when the write deadline was set
  boost::beast::websocket::close_reason reason_;
  deadline ping_;
  deadline write_deadline_;
  deadline close_deadline_;
  steady_clock::time_point heard_at_;
  deadlines& timers_;
  stage stage_ = stage::opening;
  bool is_writing_ = false;
  bool is_ping_sent_ = false;
  bool is_close_begun_ = false;
};

}  // namespace llm_proxy
