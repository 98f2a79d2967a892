// Requests to one upstream over HTTP/1.1, for one thread: calls, and the idle connections that they reuse.
#pragma once

#include "http/loop/deadlines.hpp"
#include "http/tls/upstream_tls.hpp"
#include "http/upstream/upstream_address.hpp"
#include "http/upstream/upstream_socket.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"
#include "http/wire/message_parser.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

struct upstream_connection_options {
  upstream_address address;
  std::shared_ptr<upstream_tls> tls;                ///< for https; null for make_upstream_tls({})
  std::chrono::milliseconds connect_timeout{5000};  ///< name look-up and TLS included; 0 = off
  /// Uvicorn, LiteLLM's server, closes idle connections after 5 s; we close them before it does.
  std::chrono::milliseconds idle_timeout{4000};
  /// Is called for each request that is sent again on a new connection; may be empty.
  std::function<void()> on_resend = {};
};

/// The part of an answer that one read brought.
struct call_input {
  std::optional<response_head> head;  ///< comes once
  std::string bytes;                  ///< of the body, without its framing
  bool whole = false;                 ///< the answer ends with these bytes
};

/// Is told what becomes of a call. After a complete answer or on_failed() there are no more calls.
class call_events {
 public:
  /// A part of the answer has come: `input` always holds a head, some bytes or the end.
  virtual void on_input(call_input&& input) = 0;
  /// This many bytes of those given to send_part() have been sent.
  virtual void on_part_sent(std::size_t bytes) = 0;
  /// The call has failed. `reason` has one of these codes:
  /// - upstream_unreachable: there is no connection, or one side refused the other's TLS certificate,
  /// - upstream_timeout: connecting took too long,
  /// - upstream_invalid_response: the answer is not valid HTTP,
  /// - upstream_disconnected: the connection was closed before the answer was complete,
  /// - out_of_resources: this process has no file descriptor or memory left.
  virtual void on_failed(failure reason) = 0;

 protected:
  ~call_events() = default;
};

class upstream_connections;

/// One request and its answer. If a kept connection breaks before a byte of the answer, the request is sent
/// again once, on a new connection, provided that this can do no harm: its method is idempotent, or upstream
/// cannot have received any of it (RFC 9110 §9.2.2). Destroying the call cancels the request: the connection
/// is closed unless the answer was complete.
class upstream_call final : public upstream_socket_user {
 public:
  /// `head`: request line and all headers, blank line included. `events` outlives the call.
  upstream_call(upstream_connections& owner, std::shared_ptr<const std::string> head,
                std::shared_ptr<const std::string> body, std::size_t credit, call_events& events);
  ~upstream_call();
  upstream_call(const upstream_call&) = delete;
  upstream_call& operator=(const upstream_call&) = delete;

  void start();
  /// Says that the body will be given to send_part(), not to the constructor. To be called before start().
  /// `chunked`: it is sent in chunks (RFC 9112 §7.1), as the head says.
  void expect_parts(bool chunked);
  /// Sends the next bytes of such a body; `last` says that it ends with them.
  void send_part(std::string bytes, bool last);
  /// Allows `bytes` more bytes of the answer's body to be read. Without credit the socket is not read, and
  /// TCP slows upstream down.
  void grant(std::size_t bytes);
  /// Returns how long it took to make the current connection; 0 if it was a kept one.
  steady_clock::duration connect_time() const { return connect_time_; }

 private:
  void on_connected(const boost::system::error_code& ec) override;
  void on_sent(const boost::system::error_code& ec) override;
  void on_read(const boost::system::error_code& ec) override;

  void open();
  void send();
  void send_next_part();
  void read_on();
  void take_input(bool ended);
  void finish();
  void fail(failure reason);
  bool try_again(const boost::system::error_code& how);
  bool is_idempotent() const;

  upstream_connections& owner_;
  std::shared_ptr<const std::string> head_;
  std::shared_ptr<const std::string> body_;
  call_events& events_;
  std::shared_ptr<upstream_socket> socket_;
  std::unique_ptr<deadline> connect_deadline_;  // while it connects
  steady_clock::time_point connect_began_{};
  steady_clock::duration connect_time_{0};
  response_parser parser_;
  std::size_t credit_;
  bool reused_ = false;    // the connection has served another call before
  bool any_byte_ = false;  // of the answer
  bool sent_ = false;
  bool connected_ = false;
  bool sending_ = false;
  bool over_ = false;
  std::shared_ptr<bool> gone_;  // set by the destructor, for code that calls an event which may destroy this
                                // call; null until a failure
  /// A body that is sent in parts.
  struct upload {
    struct part {
      std::string bytes;  // framed
      std::size_t size;   // without its frame
    };
    std::deque<part> parts;
    bool chunked = false;
    bool last_given = false;
    std::size_t sending_size = 0;
  };
  std::unique_ptr<upload> upload_;  // null if the body was given as a whole
};

/// The connections to one upstream that are kept between calls. Not thread-safe; outlives its calls.
class upstream_connections final {
 public:
  /// `home` and `timers` belong to one thread and outlive this object.
  upstream_connections(reactor& home, deadlines& timers, upstream_connection_options options);
  ~upstream_connections();
  upstream_connections(const upstream_connections&) = delete;
  upstream_connections& operator=(const upstream_connections&) = delete;

  const upstream_connection_options& options() const { return options_; }
  std::size_t idle_connections() const { return idle_.size(); }

 private:
  friend class upstream_call;
  class idle_socket;

  /// Returns the connection that was used last, or null.
  std::shared_ptr<upstream_socket> take_idle();
  std::shared_ptr<upstream_socket> make_socket();
  void park(std::shared_ptr<upstream_socket> socket);
  void drop(idle_socket& which);

  reactor& home_;
  deadlines& timers_;
  upstream_connection_options options_;
  std::vector<std::unique_ptr<idle_socket>> idle_;
};

}  // namespace llm_proxy
