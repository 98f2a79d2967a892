// One client connection: it reads requests one after the other, writes answers, and notices when the client
// leaves.
//
//   waiting ──head──▶ deciding ──read_body()──▶ receiving ──▶ serving ──end_answer()──▶ waiting
//                        └── end_answer() with the body unread ──▶ discarding ──▶ waiting | lingering ──▶
//                        closed
//
// Everything happens on one I/O thread. Writes are collected and sent once per turn (turn.hpp).
#pragma once

#include "http/downstream/outbox.hpp"
#include "http/downstream/peer_address.hpp"
#include "http/downstream/reply_writer.hpp"
#include "http/loop/byte_buffer.hpp"
#include "http/loop/deadlines.hpp"
#include "http/loop/turn.hpp"
#include "http/system/owned_descriptor.hpp"
#include "http/system/tcp_progress.hpp"
#include "http/tls/transport_socket.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"
#include "http/wire/message_parser.hpp"

#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

class connection;

struct connection_timeouts {
  /// From the first byte of a request to the end of its head. For the first request it runs from the
  /// beginning of the connection.
  std::chrono::milliseconds head;
  std::chrono::milliseconds body;        ///< for the whole body, however slowly it comes
  std::chrono::milliseconds write;       ///< for a client that does not read
  std::chrono::milliseconds keep_alive;  ///< idle between requests, with nothing left to send

  /// Returns the time limit for a TLS handshake, and then for the first request's head.
  std::chrono::milliseconds first_request() const { return head.count() > 0 ? head : keep_alive; }
};

/// Is told of new requests. The acceptor actor implements it.
class connection_owner {
 public:
  /// A request's head has arrived, or it was refused and `from->head_fault()` says why. Answer with
  /// start_answer().
  virtual void on_request(const std::shared_ptr<connection>& from) = 0;
  virtual void on_closed(const std::shared_ptr<connection>& which) = 0;
  /// The TLS handshake with a client has failed. The connection closes.
  virtual void on_handshake_failed(const std::string& /*why*/) {}
  /// The connection is idle from now on: it has no request and nothing to send. This is called for a new
  /// connection and after each request. If the owner puts it into a list, the connection leaves that list by
  /// itself.
  virtual void on_idle(connection& /*which*/) {}

 protected:
  ~connection_owner() = default;
};

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
  /// Bytes were sent to the client, so backlog() is smaller.
  virtual void on_sent() = 0;
  /// The shutdown waits no longer: end the answer now with an error.
  virtual void on_forced_end() = 0;

 protected:
  ~exchange_events() = default;
};

/// Links a connection into its owner's list of idle ones, without allocating a node.
using idle_hook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class connection final : public turn_task,
                         public reply_writer,
                         private watcher,
                         public idle_hook,
                         public std::enable_shared_from_this<connection> {
 public:
  /// `socket`: an accepted one, which does not block. `tls`: the context for the TLS handshake; null if
  /// clients connect without TLS. The rest belongs to the thread and outlives the connection.
  connection(owned_descriptor socket, reactor& sockets_of_thread, turn& turn_of_thread,
             deadlines& deadlines_of_thread, const connection_timeouts& timeouts, connection_owner& owner,
             SSL_CTX* tls = nullptr);

  /// Starts reading requests.
  void start();

  // -- the request at hand ---------------------------------------------------

  const std::shared_ptr<const request_head>& head() const { return head_; }
  /// Why the head was refused; errc::none if it was not.
  const failure& head_fault() const;
  /// Frees the request's headers once they are no longer needed, because a stream may last for hours.
  void forget_headers();
  void attach(exchange_events* events) { events_ = events; }
  /// The client's IP address, without a port; empty if the socket is closed. A system call.
  std::string peer_address() const { return llm_proxy::peer_address(socket_.descriptor()); }
  /// Reads the body, which may have at most `limit` bytes. Calls on_body() or on_body_failed(), now or later.
  void read_body(std::size_t limit);

  /// Starts the body's time limit anew, after a request has waited for a slot.
  void restart_body_time();

  /// Passes the body on as it comes: calls on_body_part() until the last part, or on_body_failed(). Reads at
  /// most `window` bytes (and one read) ahead of take_more().
  void stream_body(std::size_t limit, std::size_t window);
  /// Says that `bytes` bytes of the parts have been used, so that as many more may be read.
  void take_more(std::size_t bytes);

  void start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                    bool close) override;
  void write(std::string_view bytes) override;
  /// Like write(), for bytes that live as long as the process (a page). They are not copied if there are
  /// many.
  void write_constant(std::string_view bytes);
  /// Says that the answer is complete. After this the session gets no more calls.
  void end_answer();
  /// Says that the answer cannot be completed. Sends what is written, then closes without the end of the
  /// framing.
  void break_answer();

  std::size_t backlog() const override { return outbox_.size(); }
  /// Returns how many bytes our system has taken and the client's has not acknowledged. A client that does
  /// not read leaves them unacknowledged.
  std::size_t unacknowledged() const {
    return static_cast<std::size_t>(unacknowledged_bytes(socket_.descriptor()).value_or(0));
  }
  /// Returns how many bytes of the answer's body were written so far, without its framing.
  std::uint64_t body_bytes_written() const { return answer_.body_written; }
  bool answer_started() const override { return answer_.started; }

  // -- for the owner ---------------------------------------------------------

  /// Closes when the current request is answered. If there is none, closes after half a second, unless a
  /// request has begun by then.
  void drain();
  /// Closes at once, in any state. A session gets on_client_gone().
  void close();
  /// Closes if there is no request, not even one that has arrived and was not read yet. Returns false if the
  /// connection stays open.
  bool close_if_idle();
  /// Whether a request has come on this connection.
  bool is_used() const { return used_; }
  /// Ends the current request with an error, then closes. Closes at once if there is no request.
  void force_end();
  bool closed() const { return stage_ == stage::closed; }
  /// Ends the current request when there is no memory left, and therefore allocates nothing: it writes a 503
  /// if the answer has not begun, then closes the connection.
  void end_without_memory();

  void run_turn() override;

 private:
  static constexpr std::size_t max_discard =
      1024 * 1024;  // bytes of an unwanted body; if it is longer, the connection is closed
  /// The next request is not read while more than this is unsent. Otherwise we would have to keep all answers
  /// to a client that sends requests and does not read.
  static constexpr std::size_t max_unsent = 64 * 1024;
  /// For this long after drain() an idle connection may still begin a request.
  static constexpr auto drain_grace = std::chrono::milliseconds{500};

  enum class stage : std::uint8_t { waiting, deciding, receiving, serving, discarding, lingering, closed };

  void shake_hands();
  void schedule();
  void note_idle();
  void leave_idle();
  void restart_idle_time();
  void on_ready(readiness now) override;
  void act_on(readiness now);
  void do_turn();
  void on_out_of_memory();
  bool wants_read() const;
  void start_read();
  bool read_some();
  void on_read(const boost::system::error_code& ec);
  void advance();
  void read_next_head();
  /// Whether the request has been read to its end.
  bool is_read() const { return !incoming_ || incoming_->parser.done(); }
  void begin_body(std::size_t limit);
  void reserve_body();
  void receive_body();
  void pass_body_part();
  void end_reading();
  void discard_body();
  void next_request();
  void refuse_head(failure fault);
  void finish_close();
  void linger();
  void flush();
  void send_written();
  void count_unsent(std::size_t bytes);
  void on_read_deadline();

  counted_socket counted_;
  transport_socket socket_;
  turn& turn_;
  outbox outbox_;  // what is written and not sent yet
  const connection_timeouts& timeouts_;
  connection_owner& owner_;
  exchange_events* events_ = nullptr;
  deadline read_deadline_;   // for the head, the body, keep-alive or lingering, one at a time
  deadline write_deadline_;  // for a client that does not read

  byte_buffer in_;
  /// A request that is being read.
  struct incoming {
    request_parser parser;
    std::string body;
    std::size_t limit = 0;   // most bytes of the body
    std::size_t read = 0;    // bytes of the body so far
    std::size_t window = 0;  // bytes that may still be read of a body that is passed on as it comes
    bool in_parts = false;   // the body is passed on as it comes
  };
  std::unique_ptr<incoming> incoming_;  // is there from a head's first byte until the request has been read
  std::shared_ptr<const request_head> head_;
  std::unique_ptr<const failure> head_fault_;  // null if the head was not refused
  std::size_t discarded_ = 0;

  std::size_t counted_unsent_ = 0;  // number of unsent bytes last reported to the turn
  struct answer_state {
    body_framing framing = body_framing::content_length;
    bool started = false;
    bool suppress_body = false;  // the answer ends with its head
    std::uint64_t body_written = 0;
  };
  answer_state answer_;
  /// How the connection ends.
  struct ending {
    bool close_after = false;  // it closes after the answer
    bool end_written = false;  // the sending side is closed once all is sent
    bool reset_after = false;  // the connection is reset then instead
  };
  ending ending_;
  stage stage_ = stage::waiting;
  bool used_ = false;
  bool head_started_ = false;  // some bytes of the next head have arrived
  bool scheduled_ = false;
  bool waiting_writable_ = false;
  bool draining_ = false;
  bool continue_owed_ = false;  // the client asked for 100-continue and has not got it
};

}  // namespace llm_proxy
