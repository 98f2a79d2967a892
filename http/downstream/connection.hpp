// One client connection: it reads requests one after the other, writes answers, and notices when the client
// leaves.
//
//   waiting ──head──▶ deciding ──read_body()──▶ receiving ──▶ serving ──end_answer()──▶ waiting
//                        └── end_answer() with the body unread ──▶ discarding ──▶ waiting | lingering ──▶
//                        closed
//                        └── upgrade() ──▶ upgraded: another protocol has the socket ──▶ closed
//
// Everything happens on one I/O thread. Writes are collected and sent once per turn (turn.hpp).
#pragma once

#include "http/downstream/exchange.hpp"
#include "http/downstream/outbox.hpp"
#include "http/downstream/peer_address.hpp"
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
  /// start_answer(). `from` is the connection, or a request inside of what it was upgraded to.
  virtual void on_request(const std::shared_ptr<exchange>& from) = 0;
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

/// Links a connection into its owner's list of idle ones, without allocating a node.
using idle_hook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class connection final : public turn_task,
                         public exchange,
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

  const std::shared_ptr<const request_head>& head() const override { return head_; }
  const failure& head_fault() const override;
  void forget_headers() override;
  void attach(exchange_events* events) override { events_ = events; }
  std::string peer_address() const override { return llm_proxy::peer_address(socket_.descriptor()); }
  void read_body(std::size_t limit) override;
  void restart_body_time() override;
  void stream_body(std::size_t limit, std::size_t window) override;
  void take_more(std::size_t bytes) override;

  void start_answer(const response_head& head, body_framing framing, std::uint64_t length,
                    bool close) override;
  void write(std::string_view bytes) override;
  void write_constant(std::string_view bytes) override;
  void end_answer() override;
  /// Sends what is written, then closes without the end of the framing.
  void break_answer() override;
  void upgrade(std::shared_ptr<upgraded_connection> next) override;

  std::size_t backlog() const override { return outbox_.size(); }
  std::size_t unacknowledged() const override {
    return static_cast<std::size_t>(unacknowledged_bytes(socket_.descriptor()).value_or(0));
  }
  std::uint64_t body_bytes_written() const override { return answer_.body_written; }
  bool answer_started() const override { return answer_.started; }
  void end_without_memory() override;

  // -- for what it was upgraded to ----------------------------------------------

  /// Has a request served that came over the protocol that this connection was upgraded to.
  void serve(const std::shared_ptr<exchange>& inside) { owner_.on_request(inside); }

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
  bool closed() const override { return stage_ == stage::closed; }

  void run_turn() override;

 private:
  static constexpr std::size_t max_discard =
      1024 * 1024;  // bytes of an unwanted body; if it is longer, the connection is closed
  /// The next request is not read while more than this is unsent. Otherwise we would have to keep all answers
  /// to a client that sends requests and does not read.
  static constexpr std::size_t max_unsent = 64 * 1024;
  /// For this long after drain() an idle connection may still begin a request.
  static constexpr auto drain_grace = std::chrono::milliseconds{500};

  enum class stage : std::uint8_t {
    waiting,
    deciding,
    receiving,
    serving,
    discarding,
    lingering,
    upgraded,
    closed
  };

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
  std::unique_ptr<const failure> head_fault_;      // null if the head was not refused
  std::shared_ptr<upgraded_connection> upgraded_;  // what has the socket now; null as long as we have it
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
