// A blocking HTTP/1.1 client for tests, over loopback. It can also do what a well-behaved client never does:
// raw bytes, half-closes, resets, tiny receive buffers, pipelining. Every wait has a timeout, and its result
// says why it ended.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy::test {

using test_clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Header fields in the order and spelling in which they arrived.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// Why a read ended: the wanted bytes arrived, the peer ended its side, the peer reset, or the timeout
/// passed.
enum class read_end : std::uint8_t { done, eof, reset, timeout };

/// Returns the name of a read_end, for failure messages.
const char* to_string(read_end end);

/// Compares two texts without regard to the case of ASCII letters.
bool iequals(std::string_view a, std::string_view b);
/// Returns the first field of that name, or "".
std::string find_header(const header_list& headers, std::string_view name);
/// Returns all fields of that name, in order.
std::vector<std::string> find_headers(const header_list& headers, std::string_view name);

/// The result of a read: the bytes that arrived, and how it ended. No bytes are lost if it ends early.
struct received {
  std::string bytes;
  read_end end = read_end::done;
};

/// One TCP connection under full control. Bytes that were read but not asked for stay in buffer().
class raw_connection {
 public:
  struct options {
    std::string address = "127.0.0.1";  // or "::1"
    int receive_buffer = 0;             // SO_RCVBUF, set before connect; 0 leaves the default
    milliseconds connect_timeout{5000};
  };

  /// Connects; throws std::system_error if that fails.
  explicit raw_connection(std::uint16_t port);
  raw_connection(std::uint16_t port, const options& how);
  raw_connection(raw_connection&& other) noexcept;
  raw_connection& operator=(raw_connection&& other) noexcept;
  ~raw_connection();

  /// Sends everything. Returns false if the peer is gone or takes too long.
  bool send(std::string_view bytes, milliseconds timeout = milliseconds{10'000});
  /// Sends until everything is sent, the peer reads nothing for the timeout, or the peer is gone. Returns how
  /// many bytes the kernel accepted.
  std::size_t send_some(std::string_view bytes, milliseconds timeout);
  /// Sends piece by piece with a pause between the pieces, each in a TCP segment of its own.
  bool send_slowly(std::string_view bytes, std::size_t piece, milliseconds pause);

  /// Reads what is there, at least one byte unless the read ends.
  received read_some(milliseconds timeout);
  /// Reads up to and including the delimiter.
  received read_until(std::string_view delimiter, milliseconds timeout);
  received read_exactly(std::size_t count, milliseconds timeout);
  /// Reads until the peer ends the connection. It never ends with `done`.
  received read_to_end(milliseconds timeout);
  /// Discards all bytes until the peer ends the connection. Returns eof, reset or timeout.
  read_end wait_closed(milliseconds timeout);
  /// Whether during that time no byte arrives and the peer does not end the connection.
  bool stays_quiet(milliseconds time);

  /// Reads once into buffer(), at least one byte unless the read ends.
  read_end fill(test_clock::time_point deadline);
  /// Returns the bytes that were read and not yet taken.
  std::string& buffer() { return buffer_; }

  void half_close();  ///< FIN; the other direction stays open.
  void reset();       ///< RST (SO_LINGER 0).
  void close();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  std::uint16_t local_port() const;

 private:
  received take(std::size_t count, read_end end);

  int fd_ = -1;
  std::string buffer_;
};

/// One answer, or the part of it that arrived.
struct response {
  int status = 0;
  std::string version;  // "HTTP/1.1"
  std::string reason;
  std::string head;  // raw, with its blank line
  header_list headers;
  std::string body;  // without chunk framing
  header_list trailers;
  std::vector<int> interim;         // the 1xx answers before it
  std::vector<std::string> chunks;  // the body as it was framed, once the answer has ended
  bool chunked = false;             // transfer-encoding: chunked
  bool complete = false;   // content-length reached, zero chunk seen, or close-delimited and closed by FIN
  bool malformed = false;  // the framing broke the rules
  bool closed = false;     // the peer is known to have ended the connection when the read ended
  read_end end = read_end::done;  // why reading ended

  std::string header(std::string_view name) const { return find_header(headers, name); }
  std::vector<std::string> all(std::string_view name) const { return find_headers(headers, name); }
  bool has(std::string_view name) const { return !all(name).empty(); }
};

/// Decodes chunked transfer coding. The test client and the scripted upstream use it.
class chunk_decoder {
 public:
  /// Removes from `in` the bytes that it can decode, and appends the payload to `out`.
  void feed(std::string& in, std::string& out);
  bool done() const { return done_; }
  bool bad() const { return bad_; }
  const header_list& trailers() const { return trailers_; }
  std::vector<std::string>& chunks() { return chunks_; }

 private:
  enum class part : std::uint8_t { size, data, data_end, trailer };
  part part_ = part::size;
  std::size_t left_ = 0;
  bool done_ = false;
  bool bad_ = false;
  header_list trailers_;
  std::vector<std::string> chunks_;
};

/// Reads one answer step by step, for streams. Bytes after it stay in the connection's buffer.
class response_reader {
 public:
  explicit response_reader(raw_connection& connection, bool head_request = false);
  /// Reads past 1xx answers to the end of the head. Returns false if the head does not arrive.
  bool read_head(milliseconds timeout);
  /// Reads until the body has grown or ended. Returns false if no more bytes arrived or will arrive
  /// (answer().end says why).
  bool read_more(milliseconds timeout);
  const response& answer() const { return answer_; }
  response take() { return std::move(answer_); }

 private:
  enum class framing : std::uint8_t { none, length, chunked, close };
  bool parse_head(std::string_view head);
  bool consume();
  void finish(read_end end);

  raw_connection& connection_;
  bool head_request_;
  bool head_read_ = false;
  bool finished_ = false;
  framing framing_ = framing::none;
  std::size_t left_ = 0;
  chunk_decoder decoder_;
  response answer_;
};

/// Reads one whole answer, including 1xx answers before it, within the timeout.
response read_response(raw_connection& connection, milliseconds timeout, bool head_request = false);

/// Returns a request as bytes. Host and Content-Length are added unless the headers have them (or
/// Transfer-Encoding).
std::string make_request(std::string_view method, std::string_view target, const header_list& headers = {},
                         std::string_view body = {});

/// Sends one request on a connection of its own and returns the answer.
response request(std::uint16_t port, std::string_view method, std::string_view target,
                 const header_list& headers = {}, std::string_view body = {},
                 milliseconds timeout = milliseconds{10'000});

/// Returns the data of each complete event (including its blank line), in order. Comments and other fields
/// are left out.
std::vector<std::string> sse_events(std::string_view body, bool with_unfinished = false);

struct timed_event {
  std::string data;
  test_clock::time_point at;  // when its last byte was read
};

/// Reads an SSE answer event by event and records when each event arrived.
class event_stream {
 public:
  explicit event_stream(raw_connection& connection) : reader_(connection) {}
  /// Waits for the head. Returns false if it does not arrive.
  bool open(milliseconds timeout) { return reader_.read_head(timeout); }
  /// Returns the next event, or nullopt if the stream ended, broke or stayed silent (answer().end says
  /// which).
  std::optional<timed_event> next(milliseconds timeout);
  /// Returns all remaining events until the answer ends; `timeout` is for all of them together.
  std::vector<timed_event> rest(milliseconds timeout);
  const response& answer() const { return reader_.answer(); }

 private:
  response_reader reader_;
  std::size_t parsed_ = 0;  // bytes of the body that are in events_
  std::vector<timed_event> events_;
  std::size_t given_ = 0;
};

}  // namespace llm_proxy::test
