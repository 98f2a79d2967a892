// An HTTP/1.1 server inside the test, with one thread per connection. A C++ script answers each request:
// well-formed, slow, cut, reset or not HTTP at all. The server records the requests. Its destructor
// interrupts the scripts' waits and returns at once.
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

/// One request as it was received.
struct upstream_request {
  std::string method;
  std::string target;
  std::string head;  // raw, with its blank line
  header_list headers;
  std::string body;                // without chunk framing
  bool body_complete = false;      // false if the peer left early, or if options::read_bodies is off
  std::size_t connection = 0;      // counts from 0 in order of accept
  std::size_t number = 0;          // which request on that connection, from 0
  test_clock::time_point arrived;  // when its head was complete

  std::string header(std::string_view name) const { return find_header(headers, name); }
  std::vector<std::string> all(std::string_view name) const { return find_headers(headers, name); }
  bool has(std::string_view name) const { return !all(name).empty(); }
  /// Returns the text of the first `"name": "text"` in the body, with its escapes; "" if there is none. This
  /// is a text search, not a JSON parser.
  std::string text(std::string_view name) const;
  /// Returns the last such text. For "content" this is that of the last message.
  std::string last_text(std::string_view name) const;
  /// Whether the body has `"name": true`.
  bool is_true(std::string_view name) const;
};

/// How a connection ended, and when it was noticed.
struct upstream_closing {
  std::size_t connection = 0;
  read_end how = read_end::done;  // eof or reset: by the peer; done: by the script or by stop()
  test_clock::time_point at;
};

class scripted_upstream;

/// The functions with which a script answers. A sending function returns false if the peer is gone or the
/// server stops; then nothing more is sent. If a script returns and the connection is open, the next request
/// is read.
class upstream_reply {
 public:
  // Whole answers.
  /// Sends a status line, content-type application/json, content-length and the body.
  bool json(int status, std::string_view body, const header_list& more = {});
  /// Sends a whole event stream: the head, one chunk per event with the pause between them, and the zero
  /// chunk. The caller adds "[DONE]".
  bool sse(const std::vector<std::string>& events, const header_list& more = {},
           milliseconds pause = milliseconds{0});
  /// Sends one of the recorded answers in tests/data/, byte for byte: recorded("litellm/up-429.txt").
  bool recorded(std::string_view file);

  // Pieces.
  /// Sends a status line and exactly these headers.
  bool head(int status, const header_list& headers = {}, std::string_view reason = "Scripted");
  /// Sends the head of a chunked event stream.
  bool sse_head(const header_list& more = {});
  /// Sends bytes unchanged, so that a script can send anything, HTTP or not.
  bool send(std::string_view bytes);
  bool chunk(std::string_view bytes);
  /// Sends one chunk with `data: <data>` and its blank line.
  bool event(std::string_view data);
  bool end_chunks(const header_list& trailers = {});

  // Time. All return early when the server stops.
  /// Returns false if the server stops. If the peer leaves meanwhile, that is recorded (see
  /// scripted_upstream::closings).
  bool sleep(milliseconds time);
  /// Waits for a FIN or RST of the peer. Returns when it arrived, or nullopt if it did not.
  std::optional<test_clock::time_point> wait_until_closed(milliseconds timeout);
  /// Waits until the peer leaves or the server stops, and sends no answer.
  void hang();

  // Ends.
  void half_close();  ///< FIN; still reads.
  void close();       ///< FIN; the kernel sends an RST instead if there are unread bytes.
  void reset();       ///< RST.

  /// If options::read_bodies is off, returns the rest of the request's body, as far as it arrives in time.
  std::string read_body(milliseconds timeout);
  /// Whether the connection is open and no FIN or RST of the peer was seen. A peer that only half-closed can
  /// still receive.
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
  // The body of the current request.
  bool body_chunked_ = false;
  std::size_t body_left_ = 0;
  chunk_decoder decoder_;
};

using upstream_script = std::function<void(const upstream_request&, upstream_reply&)>;

/// Answers as LiteLLM would: GET …/models, GET …/model/info, POST …/chat/completions, and 404 for other
/// paths. A chat is answered with "Upstream heard: <last content>", as a stream if the request asks for one.
/// Some model names select special behaviour, so that a real LiteLLM in front can do so too
/// (tests/litellm/config.yaml): status-<n>, tools, html, hang, slow (one delta per 50 ms), cut-stream,
/// cut-body, stall (half an answer, then silence), error-event, no-done.
void default_script(const upstream_request& request, upstream_reply& reply);

class scripted_upstream {
 public:
  struct options {
    bool ipv6 = false;        // listens on [::1] instead of 127.0.0.1
    std::uint16_t port = 0;   // 0: any free port
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
  /// Returns "http://127.0.0.1:<port>" followed by the path, or with [::1] if it listens on IPv6.
  std::string url(std::string_view path = "") const;
  /// Sets the script for all requests whose head arrives from now on.
  void set_script(upstream_script script);
  /// Closes the listener and all connections and joins all threads. The records stay. A script must not call
  /// this.
  void stop();

  // Copies of the records.
  std::vector<upstream_request> requests() const;
  std::size_t request_count() const;
  /// Returns a request and waits for it if necessary. Throws std::runtime_error if it does not arrive in
  /// time.
  upstream_request request_at(std::size_t index, milliseconds timeout = milliseconds{5000}) const;
  upstream_request last_request() const;
  std::size_t accepted() const;
  std::size_t open() const;
  std::vector<upstream_closing> closings() const;
  /// Waits for the end of one connection. Returns nullopt if it stays open.
  std::optional<upstream_closing> closing_of(std::size_t connection, milliseconds timeout) const;
  /// Returns the messages of the exceptions that scripts threw.
  std::vector<std::string> script_errors() const;
  void clear_requests();

  // These functions wait, and return false if the timeout passed.
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

/// Returns the bytes of a file of tests/data/. Throws std::runtime_error if there is no such file.
std::string test_data(std::string_view file);

/// A port where a connect is never answered, because it listens with a full backlog and accepts nothing.
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

/// A port that refuses connects. It is bound but does not listen, so nobody else gets it while this object
/// lives.
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
