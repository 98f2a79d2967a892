// An HTTP/1.1 server inside the test, one thread per connection, that answers each request as a C++ script
// says: well-formed, slow, cut, reset or not HTTP at all. It records what it got. Its destructor interrupts
// whatever the scripts wait for and returns at once.
#pragma once

#include "support/http_client.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace llm_proxy::test {

/// One request as it came in.
struct upstream_request {
  std::string method;
  std::string target;
  std::string head;  // raw, with its blank line
  header_list headers;
  std::string body;            // without chunk framing
  bool body_complete = false;  // false when the peer left before its end, or with options::read_bodies off
  std::size_t connection = 0;  // counts from 0 in order of accept
  std::size_t number = 0;      // which request on that connection, from 0
  test_clock::time_point arrived;  // when its head was complete

  std::string header(std::string_view name) const { return find_header(headers, name); }
  std::vector<std::string> all(std::string_view name) const { return find_headers(headers, name); }
  bool has(std::string_view name) const { return !all(name).empty(); }
  /// First `"name": "text"` in the body, escapes as they are; "" without one. A text search, not a JSON
  /// parser.
  std::string text(std::string_view name) const;
  /// Last such text: of "content" the last message's.
  std::string last_text(std::string_view name) const;
  /// Whether the body says `"name": true`.
  bool is_true(std::string_view name) const;
};

/// How a connection ended, and when it was noticed.
struct upstream_closing {
  std::size_t connection = 0;
  read_end how = read_end::done;  // eof or reset: by the peer; done: by the script or by stop()
  test_clock::time_point at;
};

class scripted_upstream;

/// What a script answers with. Sending functions return false once the peer is gone or the server stops; then
/// nothing more is sent. A script that returns with the connection open goes on to the next request.
class upstream_reply {
 public:
  // Whole answers.
  /// Status line, content-type application/json, content-length, body.
  bool json(int status, std::string_view body, const header_list& more = {});
  /// A whole event stream: head, one chunk per event with the pause between, zero chunk. Add "[DONE]"
  /// yourself.
  bool sse(const std::vector<std::string>& events, const header_list& more = {},
           milliseconds pause = milliseconds{0});
  /// One of the recorded answers in tests/data/, byte for byte: recorded("litellm/up-429.txt").
  bool recorded(std::string_view file);

  // Pieces.
  /// Status line and exactly these headers.
  bool head(int status, const header_list& headers = {}, std::string_view reason = "Scripted");
  /// Head of a chunked event stream.
  bool sse_head(const header_list& more = {});
  /// Bytes as they are; with it a script can say anything, HTTP or not.
  bool send(std::string_view bytes);
  bool chunk(std::string_view bytes);
  /// One chunk with `data: <data>` and its blank line.
  bool event(std::string_view data);
  bool end_chunks(const header_list& trailers = {});

  // Time. All return early when the server stops.
  /// False when the server stops. A peer that leaves meanwhile is noted (see scripted_upstream::closings).
  bool sleep(milliseconds time);
  /// Waits for FIN or RST of the peer; when it came, or nothing.
  std::optional<test_clock::time_point> wait_until_closed(milliseconds timeout);
  /// Waits until the peer leaves or the server stops, and answers nothing.
  void hang();

  // Ends.
  void half_close();  ///< FIN; still reads.
  void close();       ///< FIN, or RST where unread bytes are left, as the kernel has it.
  void reset();       ///< RST.

  /// With options::read_bodies off: the rest of the request's body, as far as it comes in time.
  std::string read_body(milliseconds timeout);
  /// Whether the connection is open and no end of the peer was seen yet; a half-closed peer can still be sent
  /// to.
  bool alive() const { return open_ && !peer_end_; }
  bool stopping() const;

 private:
  friend class scripted_upstream;
  upstream_reply(scripted_upstream& server, int fd, std::size_t connection);
  ~upstream_reply();
  upstream_reply(const upstream_reply&) = delete;
  upstream_reply& operator=(const upstream_reply&) = delete;

  enum class wake : std::uint8_t { ready, timeout, stop };
  wake wait(short events, std::optional<test_clock::time_point> deadline);
  read_end fill(std::optional<test_clock::time_point> deadline);
  bool read_request(upstream_request& out, bool with_body);
  bool body_step(std::string& out, std::optional<test_clock::time_point> deadline);
  void peer_left(read_end how);

  scripted_upstream& server_;
  int fd_;
  std::size_t connection_;
  bool open_ = true;
  std::optional<upstream_closing> peer_end_;
  std::string buffer_;
  // The body of the request at hand.
  bool body_chunked_ = false;
  std::size_t body_left_ = 0;
  chunk_decoder decoder_;
};

using upstream_script = std::function<void(const upstream_request&, upstream_reply&)>;

/// Answers like LiteLLM would: GET …/models, GET …/model/info, POST …/chat/completions, 404 elsewhere. Chat
/// says "Upstream heard: <last content>", streamed when asked. Some model names are stage directions, so that
/// a real LiteLLM in front can give them (tests/litellm/config.yaml): status-<n>, tools, html, hang, slow
/// (one delta per 50 ms), cut-stream, cut-body, stall (half an answer, then silence), error-event, no-done.
void default_script(const upstream_request& request, upstream_reply& reply);

class scripted_upstream {
 public:
  struct options {
    bool ipv6 = false;        // listens on [::1] instead of 127.0.0.1
    std::uint16_t port = 0;   // 0: any free one
    bool read_bodies = true;  // the script is called after the body; otherwise after the head
    int receive_buffer = 0;   // SO_RCVBUF of accepted sockets
    int send_buffer = 0;      // SO_SNDBUF of accepted sockets
    /// Called for each connection before its first request; may send, wait, close or reset.
    std::function<void(upstream_reply&)> on_connect;
  };

  explicit scripted_upstream(upstream_script script = default_script);
  scripted_upstream(upstream_script script, options how);
  ~scripted_upstream();
  scripted_upstream(const scripted_upstream&) = delete;
  scripted_upstream& operator=(const scripted_upstream&) = delete;

  std::uint16_t port() const { return port_; }
  /// "http://127.0.0.1:<port>" and the path.
  std::string url(std::string_view path = "") const;
  /// For requests whose head comes from now on.
  void set_script(upstream_script script);
  /// Closes the listener and every connection and joins all threads; what was recorded stays. Not from a
  /// script.
  void stop();

  // What was recorded, as copies.
  std::vector<upstream_request> requests() const;
  std::size_t request_count() const;
  /// Waits for it if need be; throws std::runtime_error when it does not come in time.
  upstream_request request_at(std::size_t index, milliseconds timeout = milliseconds{5000}) const;
  upstream_request last_request() const;
  std::size_t accepted() const;
  std::size_t open() const;
  std::vector<upstream_closing> closings() const;
  /// The end of one connection, waited for; nothing when it stays open.
  std::optional<upstream_closing> closing_of(std::size_t connection, milliseconds timeout) const;
  /// What scripts threw.
  std::vector<std::string> script_errors() const;
  void clear_requests();

  // Waiting; false when time was up.
  bool wait_for_requests(std::size_t count, milliseconds timeout = milliseconds{5000}) const;
  bool wait_for_accepted(std::size_t count, milliseconds timeout = milliseconds{5000}) const;
  bool wait_for_open(std::size_t count, milliseconds timeout = milliseconds{5000}) const;

 private:
  friend class upstream_reply;
  void accept_loop();
  void serve(int fd, std::size_t connection);
  void note_closing(const upstream_closing& closing);
  template <class Predicate>
  bool wait_until(milliseconds timeout, Predicate holds) const;

  options how_;
  int listener_ = -1;
  int stop_fd_ = -1;  // an eventfd that stays readable once the server stops
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  upstream_script script_;
  std::vector<upstream_request> requests_;
  std::vector<upstream_closing> closings_;
  std::vector<std::string> errors_;
  std::size_t accepted_ = 0;
  std::size_t open_ = 0;
  std::map<std::size_t, std::thread> workers_;
  std::vector<std::size_t> finished_;  // workers that can be joined
  std::thread acceptor_;
};

/// A file of tests/data/ as it is; throws std::runtime_error when it is not there.
std::string test_data(std::string_view file);

/// A port where a connect is never answered: it listens with a full backlog and accepts nothing.
class blackhole {
 public:
  blackhole();
  ~blackhole();
  blackhole(const blackhole&) = delete;
  blackhole& operator=(const blackhole&) = delete;
  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  int listener_ = -1;
  std::vector<int> fillers_;
  std::uint16_t port_ = 0;
};

/// A port that refuses connects and is kept from everybody else as long as this lives: bound, not listening.
class refused_port {
 public:
  refused_port();
  ~refused_port();
  refused_port(const refused_port&) = delete;
  refused_port& operator=(const refused_port&) = delete;
  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace llm_proxy::test
