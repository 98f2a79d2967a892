// One request and its answer, as a session sees them. A connection implements it for HTTP/1.1, and a response
// over a WebSocket (http/websocket/websocket_response.hpp) implements it too, so that a session serves both.
#pragma once

#include "http/downstream/reply_writer.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

class connection;
class transport_socket;

/// Tells a session what happens to its request.
class exchange_events {
 public:
  /// Is called after read_body(), each time that an incomplete body has grown, with all of it that has
  /// arrived.
  virtual void on_body_grown(std::string_view so_far) = 0;
  /// The result of read_body(): the whole body, without its framing.
  virtual void on_body(std::string&& body) = 0;
  /// A result of stream_body(): the next bytes of the body, without its framing. `last` says that the body
  /// ends with them.
  virtual void on_body_part(std::string&& bytes, bool last) = 0;
  /// The body is too large, too slow or badly framed.
  virtual void on_body_failed(const failure& fault) = 0;
  /// The client closed or reset the connection, or stopped reading. No answer can reach it any more.
  virtual void on_client_gone() = 0;
  /// The client's socket has taken bytes of the answer, so fewer of them wait (backlog()).
  virtual void on_sent() = 0;
  /// The service shuts down, and the time that requests in flight had (DRAIN_TIMEOUT) is over. The session
  /// must end the answer now, with an error.
  virtual void on_forced_end() = 0;

 protected:
  ~exchange_events() = default;
};

/// What a connection becomes when the client has asked for another protocol (RFC 9110 §7.8).
class upgraded_connection {
 public:
  virtual ~upgraded_connection() = default;

  /// Takes the client's socket over from `from`, and the bytes that were read from it after the request's
  /// head. Answers the request with a 101. When it has closed the socket, it closes `from`.
  virtual void begin(const std::shared_ptr<connection>& from, transport_socket& socket,
                     std::string_view read_already) = 0;
  /// The service shuts down. Begins no more requests, and closes when those in flight have ended.
  virtual void drain() = 0;
  /// The service shuts down, and the time that requests in flight had (DRAIN_TIMEOUT) is over. Ends them with
  /// an error, then closes.
  virtual void force_end() = 0;
  /// Closes at once.
  virtual void close() = 0;
};

class exchange : public reply_writer {
 public:
  virtual const std::shared_ptr<const request_head>& head() const = 0;
  /// Why the head was refused; errc::none if it was not.
  virtual const failure& head_fault() const = 0;
  /// Frees the request's headers once they are no longer needed, because a stream may last for hours.
  virtual void forget_headers() = 0;
  virtual void attach(exchange_events* events) = 0;
  /// The client's IP address, without a port; empty if the socket is closed. A system call.
  virtual std::string peer_address() const = 0;

  /// Reads the body, which may have at most `limit` bytes. Calls on_body() or on_body_failed(), now or later.
  virtual void read_body(std::size_t limit) = 0;
  /// Starts the body's time limit anew, after a request has waited for a slot.
  virtual void restart_body_time() = 0;
  /// Passes the body on as it comes: calls on_body_part() until the last part, or on_body_failed(). Reads at
  /// most `window` bytes (and one read) ahead of take_more().
  virtual void stream_body(std::size_t limit, std::size_t window) = 0;
  /// Says that `bytes` bytes of the parts have been used, so that as many more may be read.
  virtual void take_more(std::size_t bytes) = 0;

  /// Like write(), for bytes that live as long as the process (a page). They are not copied if there are
  /// many.
  virtual void write_constant(std::string_view bytes) = 0;
  /// Says that the answer is complete. After this the session gets no more calls.
  virtual void end_answer() = 0;
  /// Says that the answer cannot be completed. The client sees that something is missing.
  virtual void break_answer() = 0;
  /// Hands the client over to `next` instead of an answer. After this the session gets no more calls. Only
  /// for a request without a body that asks for another protocol.
  virtual void upgrade(std::shared_ptr<upgraded_connection> next) = 0;

  /// Returns how many bytes our system has taken and the client's has not acknowledged. A client that does
  /// not read leaves them unacknowledged.
  virtual std::size_t unacknowledged() const = 0;
  /// Returns how many bytes of the answer's body were written so far, without its framing.
  virtual std::uint64_t body_bytes_written() const = 0;
  /// Whether the client has left.
  virtual bool closed() const = 0;
  /// Ends the request when there is no memory left, and therefore allocates nothing: it answers with a 503 if
  /// the answer has not begun, then closes the connection.
  virtual void end_without_memory() = 0;

 protected:
  ~exchange() = default;
};

}  // namespace llm_proxy
