// One client socket: reads requests one after the other, writes answers, notices a leaving client.
//
//   waiting ──head──▶ deciding ──read_body()──▶ receiving ──▶ serving ──end_answer()──▶ waiting
//                        └── end_answer() with the body unread ──▶ discarding ──▶ waiting | lingering ──▶
//                        closed
//
// Everything happens on one I/O thread. Writes are collected and sent once per turn (turn.hpp).
#pragma once

#include "http/downstream/downstream_socket.hpp"
#include "http/downstream/reply_writer.hpp"
#include "http/loop/byte_buffer.hpp"
#include "http/loop/deadlines.hpp"
#include "http/loop/turn.hpp"
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
  /// First byte of a request to the end of its head; of a connection's first request: from its beginning.
  std::chrono::milliseconds head;
  std::chrono::milliseconds body;        ///< the whole body, however it trickles
  std::chrono::milliseconds write;       ///< a client that takes nothing
  std::chrono::milliseconds keep_alive;  ///< idle between requests, with nothing left to send

  /// Until the first request's head is there, after a TLS handshake, and for the handshake itself.
  std::chrono::milliseconds first_request() const { return head.count() > 0 ? head : keep_alive; }
};

/// Who is told of new requests: the acceptor actor.
class connection_owner {
 public:
  /// A request's head is there (or is refused: `connection.head_fault()`). Answer with start_answer().
  virtual void on_request(const std::shared_ptr<connection>& from) = 0;
  virtual void on_closed(const std::shared_ptr<connection>& which) = 0;
  /// A TLS client and this side did not come to terms. The connection closes.
  virtual void on_handshake_failed(const std::string& /*why*/) {}
  /// It has no request and nothing to send, from now on: at its beginning and after each request. It leaves
  /// the list that its owner may put it into by itself.
  virtual void on_idle(connection& /*which*/) {}

 protected:
  ~connection_owner() = default;
};

/// What happens to the request at hand: told to its session.
class exchange_events {
 public:
  /// After read_body(), each time that a body which is not yet whole has grown: what there is of it.
  virtual void on_body_grown(std::string_view so_far) = 0;
  /// The answer to read_body(): the whole body, decoded from its framing.
  virtual void on_body(std::string&& body) = 0;
  /// The answer to stream_body(): the next bytes of the body, decoded from its framing; `last`: it is whole.
  virtual void on_body_part(std::string&& bytes, bool last) = 0;
  /// The body is too large, too slow or badly framed.
  virtual void on_body_failed(const failure& fault) = 0;
  /// The client closed, reset or stopped reading: nothing can be answered any more.
  virtual void on_client_gone() = 0;
  /// Bytes left for the client: backlog() shrank.
  virtual void on_sent() = 0;
  /// The shutdown's patience is over: end the answer now, by an error.
  virtual void on_forced_end() = 0;

 protected:
  ~exchange_events() = default;
};

/// The place of a connection in its owner's list of idle ones; no node is allocated for it.
using idle_hook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// `tls`: what the client has to shake hands with first; null: none.
class connection final : public turn_task,
                         public reply_writer,
                         private watcher,
                         public idle_hook,
                         public std::enable_shared_from_this<connection> {
 public:
  connection(boost::asio::ip::tcp::socket socket, reactor& sockets_of_thread, turn& turn_of_thread,
             deadlines& deadlines_of_thread, const connection_timeouts& timeouts, connection_owner& owner,
             SSL_CTX* tls = nullptr);

  /// Starts reading requests.
  void start();

  // -- the request at hand ---------------------------------------------------

  const std::shared_ptr<const request_head>& head() const { return head_; }
  /// Why the head was refused; errc::none if it was not.
  const failure& head_fault() const;
  /// Lets go of the request's headers once nobody asks for them any more: a stream may last for hours.
  void forget_headers();
  void attach(exchange_events* events) { events_ = events; }
  /// The client's IP address, without a port; empty if the socket is closed. A system call.
  std::string peer_address() const { return socket_.peer_address(); }
  /// Reads the body: on_body() or on_body_failed(), now or later. `limit` in bytes.
  void read_body(std::size_t limit);

  /// The time for the body runs from now on: after a request has waited for a place.
  void restart_body_time();

  /// Passes the body on as it comes: on_body_part() until the last, or on_body_failed(). Reads no more than
  /// `window` bytes (and one read) ahead of take_more().
  void stream_body(std::size_t limit, std::size_t window);
  /// `bytes` of the parts are done with: as many more may be read.
  void take_more(std::size_t bytes);

  void start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                    bool close) override;
  void write(std::string_view bytes) override;
  /// The same for bytes that live as long as the process (a page): many of them are not copied.
  void write_constant(std::string_view bytes);
  /// The answer is whole. The session is not called any more.
  void end_answer();
  /// The answer cannot be completed: sends what is written, then closes without the end of its framing.
  void break_answer();

  std::size_t backlog() const override {
    return pending_.size() + constant_.size() + in_flight_.size() - in_flight_sent_;
  }
  /// Bytes that have left and that the client's system has yet to acknowledge: one that does not read keeps
  /// them.
  std::size_t unacknowledged() const { return socket_.unacknowledged(); }
  /// Bytes of the answer's body so far, framing not counted.
  std::uint64_t body_bytes_written() const { return body_written_; }
  bool answer_started() const override { return answer_started_; }

  // -- for the owner ---------------------------------------------------------

  /// Closes when the request at hand is answered; without one after half a second, if none has come by then.
  void drain();
  /// Closes now, whatever is going on; a session is told on_client_gone().
  void close();
  /// Closes without an answer if there is no request, also none that has come and was not looked at. False:
  /// it goes on.
  bool close_if_idle();
  /// A request has come on it.
  bool is_used() const { return used_; }
  /// Ends the request at hand by an error, then closes; at once if there is none.
  void force_end();
  bool closed() const { return stage_ == stage::closed; }
  /// Ends the current request when there is no memory left, and therefore allocates nothing: it writes a 503
  /// if the answer has not begun, then closes the connection.
  void end_without_memory();

  void run_turn() override;

 private:
  static constexpr std::size_t max_discard =
      1024 * 1024;  // of an unwanted body, before the connection is given up
  /// The next request waits while more than this is unsent: a client that only asks would have us keep its
  /// answers.
  static constexpr std::size_t max_unsent = 64 * 1024;
  /// An idle connection may still begin a request for so long after drain().
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
  std::string& outgoing();
  void advance();
  void read_next_head();
  /// Nothing of the request is still to be read.
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

  downstream_socket socket_;
  turn& turn_;
  const connection_timeouts& timeouts_;
  connection_owner& owner_;
  exchange_events* events_ = nullptr;
  deadline read_deadline_;   // head, body, keep-alive or lingering, whichever is on
  deadline write_deadline_;  // a client that takes nothing

  byte_buffer in_;
  /// A request that is being read.
  struct incoming {
    request_parser parser;
    std::string body;
    std::size_t limit = 0;   // of the body's bytes
    std::size_t read = 0;    // of them
    std::size_t window = 0;  // of a body passed on as it comes: bytes that may still be read
    bool in_parts = false;   // it is passed on as it comes
  };
  std::unique_ptr<incoming> incoming_;  // from a head's first byte until the request has been read
  std::shared_ptr<const request_head> head_;
  std::unique_ptr<const failure> head_fault_;  // null: none
  std::size_t discarded_ = 0;

  // What is written, in the order in which it is sent.
  std::string in_flight_;  // being sent
  std::size_t in_flight_sent_ = 0;
  std::string_view constant_;       // the rest of write_constant()'s bytes
  std::string pending_;             // not yet given to the socket
  std::size_t counted_unsent_ = 0;  // of them, as the turn was told
  std::uint64_t body_written_ = 0;

  stage stage_ = stage::waiting;
  body_framing framing_ = body_framing::content_length;
  bool used_ = false;
  bool head_started_ = false;  // some bytes of the next head are there
  bool scheduled_ = false;
  bool waiting_writable_ = false;
  bool answer_started_ = false;
  bool suppress_body_ = false;  // the answer ends with its head
  bool close_after_ = false;
  bool end_written_ = false;  // shut down once all is sent
  bool reset_after_ = false;  // reset then, instead
  bool draining_ = false;
  bool continue_owed_ = false;  // 100-continue asked for and not sent
};

}  // namespace llm_proxy
