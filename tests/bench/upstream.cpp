// bench_upstream: an OpenAI-like server that costs little, for measuring what stands in front of it.
// One thread, one epoll. The request's body says what to send:
//   "stream":true              SSE, else one JSON answer
//   "max_tokens":N             events per stream (default --events)
//   "bench_delay_ms":D         between two events, or before a JSON answer; 0 = as fast as the socket takes
//   "bench_event_bytes":B, "bench_answer_bytes":B, "bench_batch":K (unpaced: events per send)
//   "bench_id":I               comes back in every event and answer
//   "bench_fault":"…"          breaks this answer on purpose, to prove that bench_load notices (see
//   fault_names)
// GET /bench/stats tells what it has done so far.

#include "wire.hpp"

#include <arpa/inet.h>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using bench::monotonic_ns;

enum class fault : uint8_t {
  none,
  skip,
  twice,
  swap,
  corrupt,
  wrong_id,
  no_stop,
  no_done,
  no_zero,
  cut,
  reset,
  bad_chunk,
  stall,
  status
};
constexpr std::string_view fault_names[] = {"none",     "skip",      "twice",   "swap",    "corrupt",
                                            "wrong_id", "no_stop",   "no_done", "no_zero", "cut",
                                            "reset",    "bad_chunk", "stall",   "status"};

struct options {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  uint64_t events = 10;
  uint64_t delay_ms = 0;
  uint64_t batch = 1;
  uint64_t tick_us = 100;
  uint64_t fault_every = 0;  // every n-th chat request gets `broken`
  fault broken = fault::none;
};

struct stats {
  uint64_t accepted = 0, closed = 0, requests = 0, bad_requests = 0, answers = 0;
  uint64_t streams_started = 0, streams_done = 0, streams_left = 0;  // left: the other side went away first
  uint64_t events = 0, sends = 0, behind = 0;  // behind: events sent over 10 ms after their time
};

/// Both texts of a stream's events, framed as HTTP chunks.
struct event_texts {
  bench::text_with_holes more, last;
};

enum class phase : uint8_t { reading, waiting, streaming };

struct connection {
  int fd = -1;
  phase now = phase::reading;
  bool watches_output = false;
  bool closes = false;    // after the answer
  bool taking = false;    // inside take_request: `in` still starts with the request being answered
  bool in_ready = false;  // queued for another turn of unpaced sending
  fault broken = fault::none;
  std::string in;   // received, not yet handled
  std::string out;  // to be sent, not yet taken by the socket
  const event_texts* texts = nullptr;
  uint64_t id = 0, seq = 0, count = 0, batch = 1, answer_bytes = 0;
  uint64_t period = 0;  // ns; 0 = unpaced
  uint64_t due = 0;
  connection* next = nullptr;  // in a slot of the wheel
  connection* previous = nullptr;
  int64_t slot = -1;
};

volatile std::sig_atomic_t stopped = 0;

/// Connections by the time they want to send; one slot per tick, longer waits go round again.
class timer_wheel {
 public:
  explicit timer_wheel(uint64_t tick_ns) : tick_(tick_ns), done_(monotonic_ns() / tick_ns) {}

  void add(connection& c) {
    const uint64_t tick = std::clamp(c.due / tick_ + 1, done_ + 1, done_ + slots - 1);
    const size_t at = tick % slots;
    c.slot = static_cast<int64_t>(at);
    c.previous = nullptr;
    c.next = heads_[at];
    if (c.next != nullptr) c.next->previous = &c;
    heads_[at] = &c;
    used_[at / 64] |= uint64_t{1} << (at % 64);
  }

  void remove(connection& c) {
    if (c.slot < 0) return;
    const auto at = static_cast<size_t>(c.slot);
    if (c.next != nullptr) c.next->previous = c.previous;
    (c.previous != nullptr ? c.previous->next : heads_[at]) = c.next;
    if (heads_[at] == nullptr) used_[at / 64] &= ~(uint64_t{1} << (at % 64));
    c.slot = -1;
    c.next = c.previous = nullptr;
  }

  /// One that is due, taken out; null when none is.
  connection* take(uint64_t now) {
    while (done_ < now / tick_) {
      connection*& head = heads_[(done_ + 1) % slots];
      while (head != nullptr) {
        connection& c = *head;
        remove(c);
        if (c.due <= now) return &c;
        add_later(c);
      }
      ++done_;
      if (!used_[((done_ + 1) % slots) / 64]) skip_empty(now / tick_);
    }
    return nullptr;
  }

  /// Time of the next tick with somebody in it; 0 when all are empty.
  uint64_t next() const {
    for (size_t i = 1; i < slots; ++i) {
      const size_t at = (done_ + i) % slots;
      const uint64_t rest = used_[at / 64] >> (at % 64);
      if (rest != 0) return (done_ + i + static_cast<size_t>(std::countr_zero(rest))) * tick_;
      i += 63 - at % 64;
    }
    return 0;
  }

 private:
  static constexpr size_t slots = 16384;

  void add_later(connection& c) {
    ++done_;  // never into the slot that is being emptied
    add(c);
    --done_;
  }
  void skip_empty(uint64_t until) {
    while (done_ + 64 < until && !used_[((done_ + 1) % slots) / 64]) done_ += 64 - (done_ + 1) % 64;
  }

  uint64_t tick_;
  uint64_t done_;  // all slots up to this tick are empty
  std::array<connection*, slots> heads_{};
  std::array<uint64_t, slots / 64> used_{};
};

class upstream {
 public:
  explicit upstream(const options& o) : options_(o), wheel_(o.tick_us * 1000) {}

  bool listen();
  void run();
  uint16_t port() const { return port_; }
  std::string stats_json() const;

 private:
  void accept_all();
  void close(connection& c);
  void on_readable(connection& c);
  void handle_input(connection& c);
  bool take_request(connection& c);
  void chat(connection& c, std::string_view body);
  void answer(connection& c, std::string_view status, std::string_view type, std::string_view body);
  void answer_chat(connection& c);
  void start_stream(connection& c);
  void send_due(connection& c, uint64_t now);
  void send_unpaced(connection& c);
  void append_event(connection& c, std::string& to);
  bool flush(connection& c, std::string& bytes);
  void watch_output(connection& c, bool on);
  void finish(connection& c);
  const event_texts& texts(size_t bytes);

  options options_;
  timer_wheel wheel_;
  stats stats_;
  int listener_ = -1;
  int epoll_ = -1;
  uint16_t port_ = 0;
  uint64_t random_ = 88172645463325252;
  uint64_t chats_ = 0;
  std::vector<std::unique_ptr<connection>> connections_;  // by descriptor
  std::vector<std::unique_ptr<connection>> closed_;       // freed at the end of the turn
  std::vector<connection*> ready_;                        // unpaced streams whose turn was used up
  std::map<size_t, event_texts> texts_;
  std::string scratch_;
  std::array<char, 65536> buffer_{};
};

bool upstream::listen() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) return false;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
  if (::listen(listener_, 16384) != 0) return false;
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) == 0;
}

void upstream::run() {
  std::array<epoll_event, 512> events{};
  while (!stopped) {
    timespec timeout{1, 0};
    if (!ready_.empty()) {
      timeout = {0, 0};
    } else if (const uint64_t next = wheel_.next(); next != 0) {
      const uint64_t now = monotonic_ns();
      const uint64_t wait = next > now ? std::min<uint64_t>(next - now, 999'999'999) : 0;
      timeout = {0, static_cast<long>(wait)};
    }
    const int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      auto* c = static_cast<connection*>(event.data.ptr);
      if (c == nullptr) {
        accept_all();
        continue;
      }
      if (c->fd < 0) continue;  // closed earlier in this turn
      if (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) on_readable(*c);
      if (c->fd >= 0 && (event.events & EPOLLOUT)) {
        scratch_.clear();
        if (flush(*c, scratch_)) {
          watch_output(*c, false);
          if (c->now == phase::streaming && c->period == 0) send_unpaced(*c);
        }
      }
    }
    const uint64_t now = monotonic_ns();
    while (connection* c = wheel_.take(now)) {
      if (c->now == phase::waiting) {
        answer_chat(*c);
      } else {
        send_due(*c, now);
      }
    }
    for (connection* c : std::exchange(ready_, {})) {
      c->in_ready = false;
      if (c->fd >= 0 && c->now == phase::streaming) send_unpaced(*c);
    }
    closed_.clear();
  }
}

void upstream::accept_all() {
  for (int i = 0; i < 256; ++i) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto at = static_cast<size_t>(fd);
    if (connections_.size() <= at) connections_.resize(at + 1024);
    connections_[at] = std::make_unique<connection>();
    connections_[at]->fd = fd;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.ptr = connections_[at].get();
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    ++stats_.accepted;
  }
}

void upstream::close(connection& c) {
  if (c.fd < 0) return;
  if (c.now != phase::reading) ++stats_.streams_left;
  wheel_.remove(c);
  std::erase(ready_, &c);
  const auto at = static_cast<size_t>(c.fd);
  ::close(c.fd);
  c.fd = -1;
  closed_.push_back(std::move(connections_[at]));
  ++stats_.closed;
}

void upstream::on_readable(connection& c) {
  const ssize_t n = recv(c.fd, buffer_.data(), buffer_.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close(c);
  c.in.append(buffer_.data(), static_cast<size_t>(n));
  if (c.now == phase::reading) handle_input(c);
}

void upstream::handle_input(connection& c) {
  while (c.fd >= 0 && c.now == phase::reading && !c.in.empty() && take_request(c)) {
  }
}

/// The number after `"name":` in a body, or `otherwise`.
uint64_t number_in(std::string_view body, std::string_view name, uint64_t otherwise) {
  size_t at = body.find(name);
  if (at == std::string_view::npos) return otherwise;
  at += name.size();
  while (at < body.size() && (body[at] == ' ' || body[at] == ':')) ++at;
  uint64_t value = 0;
  const size_t begin = at;
  while (at < body.size() && body[at] >= '0' && body[at] <= '9' && at - begin < 18)
    value = value * 10 + static_cast<uint64_t>(body[at++] - '0');
  return at > begin ? value : otherwise;
}

/// The word after `"name":`, without quotes.
std::string_view word_in(std::string_view body, std::string_view name) {
  size_t at = body.find(name);
  if (at == std::string_view::npos) return {};
  at += name.size();
  while (at < body.size() && (body[at] == ' ' || body[at] == ':' || body[at] == '"')) ++at;
  size_t end = at;
  while (end < body.size() && ((body[end] >= 'a' && body[end] <= 'z') || body[end] == '_')) ++end;
  return body.substr(at, end - at);
}

fault fault_named(std::string_view name) {
  const auto* found = std::find(std::begin(fault_names), std::end(fault_names), name);
  return found == std::end(fault_names) ? fault::none : static_cast<fault>(found - std::begin(fault_names));
}

/// Decodes a whole chunked body that starts at `in[at]`. npos: not all there yet; otherwise the position
/// after it.
size_t decode_chunks(std::string_view in, size_t at, std::string& body) {
  body.clear();
  for (;;) {
    const size_t line = in.find("\r\n", at);
    if (line == std::string_view::npos) return line;
    const size_t size = std::strtoul(std::string(in.substr(at, line - at)).c_str(), nullptr, 16);
    at = line + 2;
    if (in.size() < at + size + 2) return std::string_view::npos;
    body.append(in.substr(at, size));
    at += size + 2;
    if (size == 0) return at;
  }
}

/// Handles the first request in `c.in`; false when it is not whole yet.
bool upstream::take_request(connection& c) {
  const std::string_view in = c.in;
  const size_t head_end = in.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return false;
  const std::string_view head = in.substr(0, head_end);
  const size_t body_at = head_end + 4;
  std::string decoded;
  std::string_view body;
  size_t end = body_at;
  if (bench::same_word(bench::header_value(head, "transfer-encoding:"), "chunked")) {
    end = decode_chunks(in, body_at, decoded);
    if (end == std::string_view::npos) return false;
    body = decoded;
  } else if (const auto length = bench::header_value(head, "content-length:"); !length.empty()) {
    const size_t size = std::strtoul(std::string(length).c_str(), nullptr, 10);
    if (in.size() < body_at + size) {
      c.in.reserve(body_at + size);
      if (in.size() == body_at && !bench::header_value(head, "expect:").empty())
        send(c.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
      return false;
    }
    body = in.substr(body_at, size);
    end = body_at + size;
  }
  ++stats_.requests;
  c.closes = bench::same_word(bench::header_value(head, "connection:"), "close") ||
             head.substr(0, head.find("\r\n")).ends_with("HTTP/1.0");
  const std::string_view target = head.substr(0, head.find(" HTTP/"));
  if (target == "POST /v1/chat/completions" || target == "POST /chat/completions") {
    c.taking = true;
    chat(c, body);
    c.taking = false;
  } else if (target == "GET /v1/models" || target == "GET /models") {
    answer(
        c, "200 OK", "application/json",
        R"({"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]})");
  } else if (target == "GET /model/info" || target == "GET /v1/model/info") {
    answer(
        c, "200 OK", "application/json",
        R"({"data":[{"model_name":"bench","litellm_params":{"model":"openai/bench"},"model_info":{"id":"bench",)"
        R"("max_input_tokens":4096,"litellm_provider":"openai"}}]})");
  } else if (target.starts_with("GET /health")) {
    answer(c, "200 OK", "application/json", "\"I'm alive!\"");
  } else if (target == "GET /bench/stats") {
    answer(c, "200 OK", "application/json", stats_json());
  } else {
    ++stats_.bad_requests;
    answer(c, "404 Not Found", "application/json",
           R"({"error":{"message":"not found","type":"None","code":"404"}})");
  }
  if (c.fd < 0) return false;
  if (end == c.in.size()) {
    if (c.in.capacity() > 4096) {
      c.in = std::string();
    } else {
      c.in.clear();
    }
  } else {
    c.in.erase(0, end);
  }
  return true;
}

void upstream::chat(connection& c, std::string_view body) {
  // Our fields stand at the end of the body: a long prompt need not be searched.
  const std::string_view tail = body.size() > 1024 ? body.substr(body.size() - 1024) : body;
  c.id = number_in(tail, "\"bench_id\"", 0);
  c.count = std::max<uint64_t>(1, number_in(tail, "\"max_tokens\"", options_.events));
  c.period = number_in(tail, "\"bench_delay_ms\"", options_.delay_ms) * 1'000'000;
  c.batch = std::clamp<uint64_t>(number_in(tail, "\"bench_batch\"", options_.batch), 1, 1024);
  c.answer_bytes = std::min<uint64_t>(number_in(tail, "\"bench_answer_bytes\"", bench::default_answer_bytes),
                                      bench::max_answer_bytes);
  c.seq = 0;
  c.broken = fault_named(word_in(tail, "\"bench_fault\""));
  ++chats_;
  if (options_.fault_every != 0 && chats_ % options_.fault_every == 0) c.broken = options_.broken;
  if (c.broken == fault::status)
    return answer(c, "500 Internal Server Error", "application/json",
                  R"({"error":{"message":"broken on purpose","type":"None","code":"500"}})");
  if (word_in(tail, "\"stream\"") == "true") {
    const size_t bytes = std::min<uint64_t>(
        number_in(tail, "\"bench_event_bytes\"", bench::default_event_bytes), bench::max_event_bytes);
    c.texts = &texts(bytes);
    return start_stream(c);
  }
  if (c.period == 0) return answer_chat(c);
  c.now = phase::waiting;
  c.due = monotonic_ns() + c.period;
  wheel_.add(c);
}

void upstream::answer(connection& c, std::string_view status, std::string_view type, std::string_view body) {
  scratch_ = "HTTP/1.1 ";
  scratch_.append(status).append(
      "\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: ");
  scratch_.append(std::to_string(body.size())).append("\r\ncontent-type: ").append(type);
  scratch_.append("\r\nx-litellm-call-id: 00000000-0000-4000-8000-000000000000\r\n");
  if (c.closes) scratch_.append("connection: close\r\n");
  scratch_.append("\r\n").append(body);
  c.now = phase::reading;
  if (flush(c, scratch_) && c.closes) close(c);
}

void upstream::answer_chat(connection& c) {
  static std::map<size_t, bench::text_with_holes> answers;
  auto& text = answers[c.answer_bytes];
  if (text.text.empty()) text = bench::make_answer(c.answer_bytes);
  bench::fill(text.text.data(), text, c.broken == fault::wrong_id ? c.id + 1 : c.id, 0, 0);
  std::string_view body = text.text;
  ++stats_.answers;
  if (c.broken == fault::none || c.broken == fault::wrong_id) {
    answer(c, "200 OK", "application/json", body);
  } else if (c.broken == fault::corrupt) {
    std::string other(body);
    other[other.size() / 2] ^= 1;
    answer(c, "200 OK", "application/json", other);
  } else if (c.broken == fault::stall) {
    c.now = phase::waiting;
  } else {  // the head and half of the body
    c.closes = false;
    const std::string head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                             std::to_string(body.size()) + "\r\n\r\n" +
                             std::string(body.substr(0, body.size() / 2));
    send(c.fd, head.data(), head.size(), MSG_NOSIGNAL);
    c.now = phase::reading;
    return close(c);
  }
  if (c.fd >= 0 && c.now == phase::reading && !c.in.empty() && c.period != 0) handle_input(c);
}

const event_texts& upstream::texts(size_t bytes) {
  auto& both = texts_[bytes];
  if (both.more.text.empty()) {
    for (const bool last : {false, true}) {
      auto event = bench::make_event(bytes, last);
      char size[24];
      const auto n = static_cast<size_t>(std::snprintf(size, sizeof size, "%zx\r\n", event.text.size()));
      event.text.insert(0, size).append("\r\n");
      event.id_at += n;
      event.seq_at += n;
      event.ns_at += n;
      (last ? both.last : both.more) = std::move(event);
    }
  }
  return both;
}

/// As LiteLLM does, the head leaves together with the first event.
void upstream::start_stream(connection& c) {
  c.now = phase::streaming;
  ++stats_.streams_started;
  scratch_ =
      "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n"
      "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
      "x-litellm-call-id: 00000000-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n";
  if (c.closes) scratch_ += "connection: close\r\n";
  scratch_ += "\r\n";
  append_event(c, scratch_);
  const uint64_t now = monotonic_ns();
  // The second event comes after 0.5 to 1.5 periods: streams opened together do not beat in step.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  c.due = now + c.period / 2 + (c.period != 0 ? random_ % c.period : 0);
  if (!flush(c, scratch_) && c.fd < 0) return;
  if (c.seq >= c.count) {
    finish(c);
  } else if (c.period != 0) {
    wheel_.add(c);
  } else if (!c.watches_output) {
    c.in_ready = true;
    ready_.push_back(&c);
  }
}

/// The next event, and with the last one all that ends the stream. `c.seq` moves on.
void upstream::append_event(connection& c, std::string& to) {
  const bool last = c.seq + 1 >= c.count;
  const bool here = c.broken != fault::none && c.seq == c.count / 2;
  const auto& event = last && c.broken != fault::no_stop ? c.texts->last : c.texts->more;
  const size_t at = to.size();
  uint64_t seq = c.seq++;
  if (here && c.broken == fault::skip && !last) seq = c.seq++;
  to.append(event.text);
  if (here && c.broken == fault::swap) seq ^= 1;
  bench::fill(to.data() + at, event, here && c.broken == fault::wrong_id ? c.id + 1 : c.id, seq,
              monotonic_ns());
  if (here && c.broken == fault::corrupt) to[at + event.id_at + 20] ^= 1;
  if (here && c.broken == fault::twice) to.append(std::string(to, at));
  if (here && c.broken == fault::bad_chunk) to.append("zz\r\n");
  ++stats_.events;
  if (!last) return;
  if (c.broken != fault::no_done) to.append("e\r\n").append(bench::done_event).append("\r\n");
  if (c.broken != fault::no_zero) to.append("0\r\n\r\n");
}

void upstream::send_due(connection& c, uint64_t now) {
  if (now > c.due + 10'000'000) ++stats_.behind;
  if (c.broken != fault::none && c.seq > c.count / 2) {
    if (c.broken == fault::stall) return;
    if (c.broken == fault::cut) return close(c);
    if (c.broken == fault::reset) {
      const linger hard{1, 0};
      setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      return close(c);
    }
  }
  c.due = std::max(c.due + c.period,
                   now > 1'000'000'000 ? now - 1'000'000'000 : 0);  // at most 1 s of catching up
  if (c.out.size() < 65536) {  // a reader that takes nothing gets no more
    scratch_.clear();
    append_event(c, scratch_);
    if (!flush(c, scratch_) && c.fd < 0) return;
    if (c.seq >= c.count) return finish(c);
  }
  wheel_.add(c);
}

void upstream::send_unpaced(connection& c) {
  for (int turn = 0; turn < 32; ++turn) {
    if (c.seq >= c.count) return finish(c);
    if (c.broken != fault::none && c.seq > c.count / 2) {
      if (c.broken == fault::stall) return;
      if (c.broken == fault::cut || c.broken == fault::reset) return close(c);
    }
    scratch_.clear();
    for (uint64_t i = 0; i < c.batch && c.seq < c.count; ++i) append_event(c, scratch_);
    if (!flush(c, scratch_)) {
      if (c.fd >= 0 && c.seq >= c.count) finish(c);
      return;
    }
  }
  if (!c.in_ready) {
    c.in_ready = true;
    ready_.push_back(&c);
  }
}

/// Sends what waits and then `bytes`. False: the socket is full (the rest waits in c.out) or gone.
bool upstream::flush(connection& c, std::string& bytes) {
  if (!c.out.empty()) {
    c.out.append(bytes);
    bytes.clear();
  }
  std::string& from = c.out.empty() ? bytes : c.out;
  if (from.empty()) return true;
  const ssize_t n = send(c.fd, from.data(), from.size(), MSG_NOSIGNAL);
  ++stats_.sends;
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    close(c);
    return false;
  }
  const size_t sent = n > 0 ? static_cast<size_t>(n) : 0;
  if (sent == from.size()) {
    if (&from == &c.out) {
      c.out = std::string();
      if (c.now == phase::reading && c.closes) {
        close(c);
        return false;
      }
    }
    return true;
  }
  if (&from == &c.out) {
    c.out.erase(0, sent);
  } else {
    c.out.assign(from, sent);
  }
  watch_output(c, true);
  return false;
}

void upstream::watch_output(connection& c, bool on) {
  if (c.watches_output == on) return;
  c.watches_output = on;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  if (on) event.events |= EPOLLOUT;
  event.data.ptr = &c;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void upstream::finish(connection& c) {
  ++stats_.streams_done;
  c.now = phase::reading;
  if ((c.closes || c.broken == fault::no_zero) && c.out.empty()) return close(c);
  if (!c.taking && !c.in.empty()) handle_input(c);
}

std::string upstream::stats_json() const {
  char text[512];
  std::snprintf(
      text, sizeof text,
      "{\"open\":%llu,\"accepted\":%llu,\"requests\":%llu,\"bad_requests\":%llu,\"answers\":%llu,"
      "\"streams_started\":%llu,\"streams_done\":%llu,\"streams_left\":%llu,\"events\":%llu,"
      "\"sends\":%llu,\"events_behind\":%llu}\n",
      static_cast<unsigned long long>(stats_.accepted - stats_.closed),
      static_cast<unsigned long long>(stats_.accepted), static_cast<unsigned long long>(stats_.requests),
      static_cast<unsigned long long>(stats_.bad_requests), static_cast<unsigned long long>(stats_.answers),
      static_cast<unsigned long long>(stats_.streams_started),
      static_cast<unsigned long long>(stats_.streams_done),
      static_cast<unsigned long long>(stats_.streams_left), static_cast<unsigned long long>(stats_.events),
      static_cast<unsigned long long>(stats_.sends), static_cast<unsigned long long>(stats_.behind));
  return text;
}

int usage() {
  std::fprintf(
      stderr,
      "usage: bench_upstream [--host 127.0.0.1] [--port 0] [--events 10] [--delay-ms 0] [--batch 1]\n"
      "                      [--tick-us 100] [--fault NAME --fault-every N]\n"
      "Prints \"listening on PORT\"; SIGTERM ends it with its counters on stdout. Faults:");
  for (const auto name : fault_names)
    std::fprintf(stderr, " %.*s", static_cast<int>(name.size()), name.data());
  std::fprintf(stderr, "\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return usage();
    const char* value = argv[i + 1];
    const uint64_t number = std::strtoull(value, nullptr, 10);
    if (name == "--host") {
      o.host = value;
    } else if (name == "--port") {
      o.port = static_cast<uint16_t>(number);
    } else if (name == "--events") {
      o.events = number;
    } else if (name == "--delay-ms") {
      o.delay_ms = number;
    } else if (name == "--batch") {
      o.batch = number;
    } else if (name == "--tick-us") {
      o.tick_us = std::max<uint64_t>(number, 1);
    } else if (name == "--fault") {
      o.broken = fault_named(value);
      if (o.broken == fault::none) return usage();
    } else if (name == "--fault-every") {
      o.fault_every = number;
    } else {
      return usage();
    }
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1);
  struct sigaction action {};
  action.sa_handler = [](int) { stopped = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  auto server = std::make_unique<upstream>(o);
  if (!server->listen()) {
    std::perror("bench_upstream: cannot listen");
    return 1;
  }
  std::printf("listening on %u\n", server->port());
  std::fflush(stdout);
  server->run();
  std::printf("%s", server->stats_json().c_str());
  return 0;
}
