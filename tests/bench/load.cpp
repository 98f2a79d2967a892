// bench_load: one thread, one epoll; asks bench_upstream for answers through whatever is to be measured,
// checks every byte that comes back, and prints one JSON object.
//   requests  C keep-alive connections, each asks again as soon as it has its answer
//   streams   C streams at a time, each of N events, every D ms (0 = unpaced); a new one follows each that
//   ends hold      opens C streams at one event per D ms (default 1,000) and holds them for the duration;
//   memory and fds
// Exit code: 0 all answers right, 1 some wrong, 2 usage, 3 the target cannot be reached.

#include "measure.hpp"
#include "wire.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
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

using bench::cpu_ns;
using bench::footprint;
using bench::footprint_of;
using bench::histogram;
using bench::machine_ticks;
using bench::monotonic_ns;
using bench::second;
using bench::user_and_system_ticks;

constexpr uint64_t stall_ns = 100'000'000;

enum class scenario : uint8_t { requests, streams, hold };

struct options {
  scenario kind = scenario::requests;
  std::string name;
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string key = "bench-key";
  std::string path = "/v1/chat/completions";
  size_t connections = 64;
  uint64_t events = 100;
  uint64_t delay_ms = 0;
  uint64_t batch = 0;
  double duration = 4;
  double warmup = 1;
  double settle = 0;    // hold: at most this long until RSS and fds are read again
  double timeout = 10;  // no byte for so long: an error
  bool once = false;
  size_t body_bytes = 0;
  size_t event_bytes = bench::default_event_bytes;
  size_t answer_bytes = bench::default_answer_bytes;
  std::string fault;
  std::vector<pid_t> pids;
  std::vector<pid_t> reference_pids;
  std::vector<std::pair<std::string, std::string>> tags;
};

// ---- what can be wrong with an answer

enum class wrong : uint8_t {
  connect,
  send,
  reset,
  closed_early,
  timeout,
  status,
  head,
  framing,
  content_type,
  extra_bytes,
  event_text,
  event_id,
  event_order,
  event_after_end,
  error_event,
  no_stop,
  no_done,
  incomplete,
  answer_text,
  answer_id,
  service_gone,
  count_
};
constexpr const char* wrong_names[] = {
    "connect",     "send",     "reset",       "closed_early",    "timeout",
    "status",      "head",     "framing",     "content_type",    "extra_bytes",
    "event_text",  "event_id", "event_order", "event_after_end", "error_event",
    "no_stop",     "no_done",  "incomplete",  "answer_text",     "answer_id",
    "service_gone"};
static_assert(std::size(wrong_names) == static_cast<size_t>(wrong::count_));

// ---- one connection

enum class part : uint8_t { head, counted, chunk_size, chunk_data, chunk_end, trailer, whole };
enum class state : uint8_t { unused, connecting, idle, asking, reading, retiring };

struct connection {
  int fd = -1;
  state now = state::unused;
  part at = part::head;
  bool watches_output = false;
  bool closes = false;      // the answer said connection: close
  bool opening = false;     // counted in opening_
  bool first_seen = false;  // and not ended: counted in streams_open_
  bool has_done = false;    // [DONE]
  uint64_t id = 0;
  uint64_t next_seq = 0;
  uint64_t events = 0;  // asked for; 0: not asked yet
  uint64_t rest = 0;    // of the chunk or body
  uint64_t asked = 0, progress = 0;
  uint64_t retry_at = 0;
  std::string line;     // a head or chunk-size line that is not whole
  std::string payload;  // an event or answer that is not whole
  std::string out;      // of the request, not yet taken by the socket
};

class load {
 public:
  explicit load(options o);
  int run();

 private:
  void loop_until(uint64_t deadline, auto condition);
  void turn(uint64_t until);
  void check_timeouts(uint64_t now);
  void start(connection& c);
  void connected(connection& c);
  void ask(connection& c);
  void flush(connection& c);
  void on_readable(connection& c);
  bool consume(connection& c, const char* p, const char* end);
  bool take_head(connection& c, std::string_view head);
  bool take_payload(connection& c, const char* p, size_t n);
  bool take_event(connection& c, std::string_view event);
  bool finish_answer(connection& c);
  bool finish_stream(connection& c);
  void opened(connection& c);
  void after_answer(connection& c);
  bool fail(connection& c, wrong why);
  void drop(connection& c);
  void watch(connection& c, bool output);
  void open_window(uint64_t now);
  void close_window(uint64_t now);
  void print(uint64_t settle_ns);
  bool streaming() const { return options_.kind != scenario::requests; }

  options options_;
  sockaddr_in address_{};
  bench::text_with_holes event_, last_event_, answer_;
  std::string request_;
  size_t request_id_at_ = 0, request_count_at_ = 0;
  int epoll_ = -1;
  std::vector<std::unique_ptr<connection>> connections_;
  std::vector<connection*> retries_;
  std::vector<connection*> unused_;  // hold: not opened yet
  size_t opening_ = 0;               // hold: opened, no event seen yet
  size_t streams_open_ = 0;          // first event seen, end not yet
  size_t peak_open_ = 0;
  uint64_t next_id_ = 1;
  uint64_t next_check_ = 0;
  uint64_t arrival_ = 0;  // when the bytes at hand were read
  bool issuing_ = true;
  bool measuring_ = false;
  bool ever_connected_ = false;

  std::array<uint64_t, static_cast<size_t>(wrong::count_)> wrongs_{};
  std::vector<std::string> samples_;
  uint64_t all_answers_ = 0, all_events_ = 0, connects_ = 0, idle_closes_ = 0, abandoned_ = 0, stalls_ = 0,
           stalls_outside_ = 0;
  uint64_t answers_ = 0, events_ = 0, bytes_ = 0, reads_ = 0, turns_ = 0;  // in the window
  histogram latency_, first_event_, event_latency_;
  uint64_t window_begin_ = 0, window_end_ = 0;
  uint64_t cpu_ = 0, own_cpu_ = 0, reference_cpu_ = 0;
  std::pair<uint64_t, uint64_t> ticks_;
  machine_ticks machine_;
  footprint before_, during_, after_;
  std::array<char, 262144> buffer_{};
};

load::load(options o)
    : options_(std::move(o)),
      event_(bench::make_event(options_.event_bytes, false)),
      last_event_(bench::make_event(options_.event_bytes, true)),
      answer_(bench::make_answer(options_.answer_bytes)) {
  address_.sin_family = AF_INET;
  address_.sin_port = htons(options_.port);
  inet_pton(AF_INET, options_.host.c_str(), &address_.sin_addr);
  std::string prompt = "Say something.";
  if (options_.body_bytes > prompt.size()) prompt.append(options_.body_bytes - prompt.size(), 'p');
  std::string body =
      "{\"model\":\"bench\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"},"
      "{\"role\":\"user\",\"content\":\"" +
      prompt + "\"}],\"temperature\":0.7,\"stream\":" + (streaming() ? "true" : "false") +
      ",\"bench_delay_ms\":" + std::to_string(options_.delay_ms);
  if (options_.event_bytes != bench::default_event_bytes)
    body += ",\"bench_event_bytes\":" + std::to_string(options_.event_bytes);
  if (options_.answer_bytes != bench::default_answer_bytes)
    body += ",\"bench_answer_bytes\":" + std::to_string(options_.answer_bytes);
  if (options_.batch != 0) body += ",\"bench_batch\":" + std::to_string(options_.batch);
  if (!options_.fault.empty()) body += ",\"bench_fault\":\"" + options_.fault + "\"";
  body += ",\"max_tokens\":";
  const size_t count_at = body.size();
  body.append(bench::seq_digits, ' ').append(",\"bench_id\":");
  const size_t id_at = body.size();
  body.append(bench::id_digits, ' ').append("}");
  request_ =
      "POST " + options_.path + " HTTP/1.1\r\nhost: " + options_.host + ":" + std::to_string(options_.port) +
      "\r\nx-internal-auth: " + options_.key +
      "\r\nuser-agent: bench_load\r\naccept: " + (streaming() ? "text/event-stream" : "application/json") +
      "\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n";
  request_id_at_ = request_.size() + id_at;
  request_count_at_ = request_.size() + count_at;
  request_ += body;
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < options_.connections; ++i) {
    connections_.push_back(std::make_unique<connection>());
    unused_.push_back(connections_.back().get());
  }
}

/// Turns the loop until `condition()` or the deadline.
void load::loop_until(uint64_t deadline, auto condition) {
  for (;;) {
    const uint64_t now = monotonic_ns();
    if (now >= deadline || condition()) return;
    turn(deadline);
  }
}

void load::turn(uint64_t until) {
  // At most so many that wait for their first answer: a listen queue is finite, and a ramp is no flood.
  while (!unused_.empty() && issuing_ && opening_ < 128) {
    connection* c = unused_.back();
    unused_.pop_back();
    ++opening_;
    c->opening = true;
    start(*c);
  }
  std::array<epoll_event, 512> events{};
  const uint64_t now = monotonic_ns();
  uint64_t wait = std::min<uint64_t>(until > now ? until - now : 0, second / 4);
  if (!retries_.empty()) wait = std::min<uint64_t>(wait, second / 100);
  const timespec timeout{0, static_cast<long>(wait)};
  const int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  ++turns_;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    auto& c = *static_cast<connection*>(event.data.ptr);
    if (c.fd < 0) continue;
    if (c.now == state::connecting) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) {
        fail(c, wrong::connect);
      } else {
        connected(c);
      }
      continue;
    }
    if (event.events & EPOLLOUT) flush(c);
    if (c.fd >= 0 && (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) on_readable(c);
  }
  if (!retries_.empty()) {
    const uint64_t later = monotonic_ns();
    for (connection* c : std::exchange(retries_, {})) {
      if (c->retry_at > later) {
        retries_.push_back(c);
      } else if (issuing_) {
        start(*c);
      }
    }
  }
  if (now >= next_check_) {
    next_check_ = now + second / 2;
    check_timeouts(now);
  }
}

void load::check_timeouts(uint64_t now) {
  const auto limit = static_cast<uint64_t>(options_.timeout * static_cast<double>(second));
  for (auto& c : connections_) {
    const bool waits = c->now == state::connecting || c->now == state::asking || c->now == state::reading;
    if (waits && now > c->progress + limit) fail(*c, wrong::timeout);
  }
}

void load::start(connection& c) {
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) {
    fail(c, wrong::connect);
    return;
  }
  const int on = 1;
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c.progress = monotonic_ns();
  c.asked = c.progress;
  const int result = connect(c.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
  if (result != 0 && errno != EINPROGRESS) {
    fail(c, wrong::connect);
    return;
  }
  c.now = state::connecting;
  c.watches_output = result != 0;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  if (c.watches_output) event.events |= EPOLLOUT;
  event.data.ptr = &c;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
  if (result == 0) connected(c);
}

void load::connected(connection& c) {
  ever_connected_ = true;
  ++connects_;
  c.now = state::idle;
  if (c.watches_output) watch(c, false);
  if (issuing_) {
    ask(c);
  } else {
    drop(c);
  }
}

void load::ask(connection& c) {
  c.now = state::asking;
  c.at = part::head;
  c.closes = c.first_seen = c.has_done = false;
  c.next_seq = 0;
  c.id = next_id_++;
  c.line.clear();
  c.payload.clear();
  c.asked = c.progress = monotonic_ns();
  // First streams are of any length, so that those opened together neither end nor start again together.
  const bool first = c.events == 0;
  c.events = options_.events;
  if (first && options_.kind == scenario::streams && !options_.once)
    c.events = c.id * 7919 % options_.events + 1;
  bench::put_number(request_.data() + request_id_at_, bench::id_digits, c.id, ' ');
  bench::put_number(request_.data() + request_count_at_, bench::seq_digits, c.events, ' ');
  const ssize_t n = send(c.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    fail(c, wrong::send);
    return;
  }
  const size_t sent = n > 0 ? static_cast<size_t>(n) : 0;
  if (sent == request_.size()) {
    c.now = state::reading;
  } else {
    c.out.assign(request_, sent);
    watch(c, true);
  }
}

void load::flush(connection& c) {
  if (c.out.empty()) return;
  const ssize_t n = send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    fail(c, wrong::send);
    return;
  }
  if (n > 0) c.progress = monotonic_ns();
  c.out.erase(0, n > 0 ? static_cast<size_t>(n) : 0);
  if (c.out.empty()) {
    c.out = std::string();
    c.now = state::reading;
    watch(c, false);
  }
}

void load::on_readable(connection& c) {
  const ssize_t n = recv(c.fd, buffer_.data(), buffer_.size(), 0);
  arrival_ = monotonic_ns();
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    if (c.now == state::idle || c.now == state::retiring) {  // an idle connection may be closed
      ++idle_closes_;
      drop(c);
      if (issuing_) start(c);
      return;
    }
    fail(c, n < 0 ? wrong::reset
                  : (c.at == part::head && c.line.empty() ? wrong::closed_early : wrong::incomplete));
    return;
  }
  c.progress = arrival_;
  if (measuring_) {
    ++reads_;
    bytes_ += static_cast<uint64_t>(n);
  }
  if (c.now == state::idle) {
    fail(c, wrong::extra_bytes);
    return;
  }
  if (!consume(c, buffer_.data(), buffer_.data() + n)) return;  // failed
  if (c.at == part::whole) after_answer(c);
}

/// Takes the bytes of an answer; false when it was wrong (the connection is gone then).
bool load::consume(connection& c, const char* p, const char* end) {
  while (p < end) {
    const auto left = static_cast<size_t>(end - p);
    switch (c.at) {
      case part::head: {
        size_t used = left;
        std::string_view head(p, left);
        size_t stop = 0;
        if (c.line.empty()) {
          stop = head.find("\r\n\r\n");
          if (stop != std::string_view::npos) used = stop + 4;
        } else {
          const size_t had = c.line.size();
          c.line.append(p, left);
          head = c.line;
          stop = head.find("\r\n\r\n", had > 3 ? had - 3 : 0);
          if (stop != std::string_view::npos) used = stop + 4 - had;
        }
        if (stop == std::string_view::npos) {
          if (head.size() > 65536) return fail(c, wrong::head);
          if (c.line.empty()) c.line.assign(p, left);
          return true;
        }
        p += used;
        if (!take_head(c, head.substr(0, stop + 2))) return false;
        c.line.clear();
        break;
      }
      case part::counted: {
        const size_t n = std::min<uint64_t>(c.rest, left);
        if (!take_payload(c, p, n)) return false;
        c.rest -= n;
        p += n;
        if (c.rest == 0) {
          if (!finish_answer(c)) return false;
          c.at = part::whole;
        }
        break;
      }
      case part::chunk_size:
      case part::trailer: {
        const auto* newline = static_cast<const char*>(std::memchr(p, '\n', left));
        const char* stop = newline != nullptr ? newline + 1 : end;
        c.line.append(p, stop);
        p = stop;
        if (c.line.size() > 4096) return fail(c, wrong::framing);
        if (newline == nullptr) return true;
        if (c.line.size() < 2 || !c.line.ends_with("\r\n")) return fail(c, wrong::framing);
        if (c.at == part::trailer) {
          if (c.line.size() == 2) {
            if (!finish_answer(c)) return false;
            c.at = part::whole;
          }
        } else {
          char* after = nullptr;
          c.rest = std::strtoull(c.line.c_str(), &after, 16);
          if (after == c.line.c_str() || (*after != '\r' && *after != ';')) return fail(c, wrong::framing);
          c.at = c.rest == 0 ? part::trailer : part::chunk_data;
        }
        c.line.clear();
        break;
      }
      case part::chunk_data: {
        const size_t n = std::min<uint64_t>(c.rest, left);
        if (!take_payload(c, p, n)) return false;
        c.rest -= n;
        p += n;
        if (c.rest == 0) {
          c.at = part::chunk_end;
          c.rest = 2;
        }
        break;
      }
      case part::chunk_end:
        if (*p != (c.rest == 2 ? '\r' : '\n')) return fail(c, wrong::framing);
        ++p;
        if (--c.rest == 0) c.at = part::chunk_size;
        break;
      case part::whole:
        return fail(c, wrong::extra_bytes);
    }
  }
  return true;
}

bool load::take_head(connection& c, std::string_view head) {
  if (head.size() < 15 || !head.starts_with("HTTP/1.1 ")) return fail(c, wrong::head);
  if (head.substr(9, 3) != "200") {
    if (samples_.size() < 5) samples_.emplace_back(head.substr(0, head.find("\r\n")));
    return fail(c, wrong::status);
  }
  c.closes = bench::same_word(bench::header_value(head, "connection:"), "close");
  const std::string_view type = bench::header_value(head, "content-type:");
  if (!type.starts_with(streaming() ? "text/event-stream" : "application/json"))
    return fail(c, wrong::content_type);
  const std::string_view length = bench::header_value(head, "content-length:");
  const std::string_view coding = bench::header_value(head, "transfer-encoding:");
  if (bench::same_word(coding, "chunked") && length.empty()) {
    c.at = part::chunk_size;
    return true;
  }
  if (!coding.empty() || length.empty()) return fail(c, wrong::framing);
  char* after = nullptr;
  c.rest = std::strtoull(length.data(), &after, 10);
  if (after != length.data() + length.size() || c.rest == 0) return fail(c, wrong::framing);
  c.at = part::counted;
  return true;
}

/// Body bytes, without framing.
bool load::take_payload(connection& c, const char* p, size_t n) {
  if (!streaming()) {
    c.payload.append(p, n);
    return true;
  }
  std::string_view bytes(p, n);
  if (!c.payload.empty()) {
    const size_t had = c.payload.size();
    c.payload.append(bytes);
    const size_t stop = c.payload.find("\n\n", had - 1);
    if (stop == std::string::npos)
      return c.payload.size() <= 2 * bench::max_event_bytes || fail(c, wrong::event_text);
    bytes.remove_prefix(stop + 2 - had);
    if (!take_event(c, std::string_view(c.payload).substr(0, stop + 2))) return false;
    c.payload.clear();
  }
  while (!bytes.empty()) {
    const size_t stop = bytes.find("\n\n");
    if (stop == std::string_view::npos) {
      c.payload.assign(bytes);
      return true;
    }
    if (!take_event(c, bytes.substr(0, stop + 2))) return false;
    bytes.remove_prefix(stop + 2);
  }
  return true;
}

bool load::take_event(connection& c, std::string_view event) {
  if (c.has_done) return fail(c, wrong::event_after_end);
  if (event == bench::done_event) {
    if (c.next_seq != c.events) return fail(c, wrong::no_stop);
    c.has_done = true;
    return true;
  }
  if (c.next_seq >= c.events) return fail(c, wrong::event_after_end);
  uint64_t id = 0;
  uint64_t seq = 0;
  uint64_t sent = 0;
  const bool last = c.next_seq + 1 == c.events;
  if (!bench::matches(event.data(), event.size(), last ? last_event_ : event_, id, seq, sent)) {
    if (samples_.size() < 5) samples_.emplace_back(event.substr(0, 400));
    if (event.starts_with("data: {\"error\"")) return fail(c, wrong::error_event);
    if (bench::matches(event.data(), event.size(), last ? event_ : last_event_, id, seq, sent))
      return fail(c, last && seq == c.next_seq ? wrong::no_stop : wrong::event_order);
    return fail(c, wrong::event_text);
  }
  if (id != c.id) return fail(c, wrong::event_id);
  if (seq != c.next_seq) return fail(c, wrong::event_order);
  ++c.next_seq;
  ++all_events_;
  const uint64_t took = arrival_ > sent ? arrival_ - sent : 0;
  if (took > stall_ns) ++(measuring_ ? stalls_ : stalls_outside_);
  if (!c.first_seen) {
    c.first_seen = true;
    opened(c);
    peak_open_ = std::max(peak_open_, ++streams_open_);
    if (measuring_ || options_.kind == scenario::hold) first_event_.add(arrival_ - c.asked);
  }
  if (measuring_) {
    ++events_;
    event_latency_.add(took);
  }
  return true;
}

bool load::finish_answer(connection& c) {
  if (streaming()) return finish_stream(c);
  uint64_t id = 0;
  uint64_t seq = 0;
  uint64_t ns = 0;
  if (!bench::matches(c.payload.data(), c.payload.size(), answer_, id, seq, ns)) {
    if (samples_.size() < 5) samples_.emplace_back(c.payload.substr(0, 400));
    return fail(c, wrong::answer_text);
  }
  if (id != c.id) return fail(c, wrong::answer_id);
  opened(c);
  return true;
}

bool load::finish_stream(connection& c) {
  if (!c.payload.empty() || c.next_seq != c.events) return fail(c, wrong::incomplete);
  if (!c.has_done) return fail(c, wrong::no_done);
  --streams_open_;
  c.first_seen = false;
  return true;
}

void load::opened(connection& c) {
  if (c.opening) --opening_;
  c.opening = false;
}

void load::after_answer(connection& c) {
  ++all_answers_;
  if (measuring_) {
    ++answers_;
    latency_.add(arrival_ - c.asked);
  }
  c.now = state::idle;
  c.payload.clear();
  if (c.payload.capacity() > 65536) c.payload.shrink_to_fit();
  if (c.closes) {
    drop(c);
    if (issuing_ && !options_.once) start(c);
  } else if (issuing_ && !options_.once && options_.kind != scenario::hold) {
    ask(c);
  } else {
    c.now = state::retiring;
  }
}

/// Counts the error, closes, and tries again a little later. Always false.
bool load::fail(connection& c, wrong why) {
  ++wrongs_[static_cast<size_t>(why)];
  if (c.first_seen) --streams_open_;
  c.first_seen = false;
  opened(c);
  drop(c);
  if (!options_.once && options_.kind != scenario::hold) {
    c.retry_at = monotonic_ns() + second / 50;
    retries_.push_back(&c);
  }
  return false;
}

void load::drop(connection& c) {
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
  c.now = state::unused;
  c.at = part::head;
  c.out.clear();
  c.line.clear();
  c.payload = std::string();
}

void load::watch(connection& c, bool output) {
  c.watches_output = output;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  if (output) event.events |= EPOLLOUT;
  event.data.ptr = &c;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void load::open_window(uint64_t now) {
  measuring_ = true;
  turns_ = 0;
  window_begin_ = now;
  ticks_ = user_and_system_ticks(options_.pids);
  machine_ = bench::ticks_of_machine();
  cpu_ = cpu_ns(options_.pids);
  reference_cpu_ = cpu_ns(options_.reference_pids);
  own_cpu_ = cpu_ns(getpid());
}

void load::close_window(uint64_t now) {
  own_cpu_ = cpu_ns(getpid()) - own_cpu_;
  reference_cpu_ = cpu_ns(options_.reference_pids) - reference_cpu_;
  for (const pid_t pid : options_.pids)
    if (cpu_ns(pid) == 0) ++wrongs_[static_cast<size_t>(wrong::service_gone)];
  const uint64_t cpu = cpu_ns(options_.pids);
  cpu_ = cpu > cpu_ ? cpu - cpu_ : 0;
  const auto ticks = user_and_system_ticks(options_.pids);
  ticks_ = {ticks.first - ticks_.first, ticks.second - ticks_.second};
  const auto machine = bench::ticks_of_machine();
  machine_ = {machine.busy - machine_.busy, machine.stolen - machine_.stolen};
  window_end_ = now;
  measuring_ = false;
  during_ = footprint_of(options_.pids);
}

int load::run() {
  const auto ns = [](double seconds) { return static_cast<uint64_t>(seconds * static_cast<double>(second)); };
  before_ = footprint_of(options_.pids);
  const uint64_t begin = monotonic_ns();
  const auto all_ended = [&] {
    return unused_.empty() && retries_.empty() &&
           std::all_of(connections_.begin(), connections_.end(), [](auto& c) {
             return c->now == state::unused || c->now == state::retiring || c->now == state::idle;
           });
  };
  if (options_.once) {
    open_window(monotonic_ns());
    loop_until(begin + ns(options_.duration), all_ended);
  } else {
    loop_until(begin + ns(20 + options_.timeout), [&] { return unused_.empty() && opening_ == 0; });
    loop_until(monotonic_ns() + ns(options_.warmup), [] { return false; });
    open_window(monotonic_ns());
    loop_until(monotonic_ns() + ns(options_.duration), [] { return false; });
  }
  close_window(monotonic_ns());
  if (options_.kind == scenario::hold) {
    // The order of what came was checked; that nothing is missing at the end, only the time can tell.
    const uint64_t overdue = 2 * options_.delay_ms * 1'000'000 + stall_ns;
    for (auto& c : connections_)
      if (c->now == state::reading && window_end_ > c->progress + overdue) fail(*c, wrong::timeout);
  }
  // What is under way may end, and is checked as well; streams that would take long are left half-way.
  issuing_ = options_.once && !unused_.empty();
  retries_.clear();
  const double stream_seconds =
      streaming() ? static_cast<double>(options_.events * options_.delay_ms) / 1000 : 0;
  const double drain = options_.kind == scenario::hold ? 0.5 : std::min(stream_seconds, 10.0) + 5;
  loop_until(monotonic_ns() + ns(drain), all_ended);
  for (auto& c : connections_) {
    if (c->fd < 0) continue;
    if (c->now != state::retiring && c->now != state::idle) {
      ++abandoned_;
      // Closed-loop answers must have come by now; streams were told to be longer than the run.
      if (options_.kind != scenario::hold && stream_seconds <= 10)
        ++wrongs_[static_cast<size_t>(wrong::timeout)];
    }
    drop(*c);
  }
  const uint64_t closed = monotonic_ns();
  const uint64_t settled_by = closed + ns(options_.settle);
  for (;;) {
    after_ = footprint_of(options_.pids);
    const bool level = after_.fds <= before_.fds && after_.rss_kib * 10 <= before_.rss_kib * 12;
    if (level || monotonic_ns() >= settled_by) break;
    usleep(200'000);
  }
  print(monotonic_ns() - closed);
  if (!ever_connected_) return 3;
  for (const uint64_t n : wrongs_)
    if (n != 0) return 1;
  return 0;
}

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char ch : text) {
    if (ch == '"' || ch == '\\') {
      json += '\\';
      json += ch;
    } else if (static_cast<unsigned char>(ch) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(ch));
      json += code;
    } else {
      json += ch;
    }
  }
  return json + "\"";
}

void load::print(uint64_t settle_ns) {
  const double seconds = static_cast<double>(window_end_ - window_begin_) / static_cast<double>(second);
  const auto us_per = [](uint64_t ns, uint64_t n) {
    return n == 0 ? 0 : static_cast<double>(ns) / 1000 / static_cast<double>(n);
  };
  const uint64_t units = streaming() ? events_ : answers_;
  const double others = static_cast<double>(own_cpu_ + reference_cpu_);
  uint64_t errors = 0;
  std::string by_kind;
  for (size_t i = 0; i < wrongs_.size(); ++i) {
    errors += wrongs_[i];
    if (wrongs_[i] == 0) continue;
    if (!by_kind.empty()) by_kind += ",";
    by_kind += quoted(wrong_names[i]) + ":" + std::to_string(wrongs_[i]);
  }
  std::string samples;
  for (const auto& sample : samples_) samples += (samples.empty() ? "" : ",") + quoted(sample);
  std::string json = "{\"scenario\":" + quoted(options_.name);
  for (const auto& [name, value] : options_.tags) json += "," + quoted(name) + ":" + quoted(value);
  const auto number = [&](const char* name, uint64_t value) {
    json += ",\"" + std::string(name) + "\":" + std::to_string(value);
  };
  const auto real = [&](const char* name, double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.4f", value);
    json += ",\"" + std::string(name) + "\":" + text;
  };
  number("connections", options_.connections);
  number("events_per_stream", streaming() ? options_.events : 0);
  number("delay_ms", options_.delay_ms);
  real("seconds", seconds);
  number("errors", errors);
  json += ",\"errors_by_kind\":{" + by_kind + "},\"samples\":[" + samples + "]";
  number("all_answers", all_answers_);
  number("all_events", all_events_);
  number("connects", connects_);
  number("idle_closes", idle_closes_);
  number("abandoned", abandoned_);
  number("stalls_over_100ms", stalls_);  // in the window; while opening and closing: the next
  number("stalls_outside", stalls_outside_);
  number("peak_open_streams", peak_open_);
  number("answers", answers_);
  number("events", events_);
  real("answers_per_s", static_cast<double>(answers_) / seconds);
  real("events_per_s", static_cast<double>(events_) / seconds);
  if (streaming() && options_.delay_ms != 0)
    real("pace", static_cast<double>(events_) * static_cast<double>(options_.delay_ms) / 1000 / seconds /
                     static_cast<double>(options_.connections));
  real("mib_per_s", static_cast<double>(bytes_) / 1048576 / seconds);
  real("events_per_read", reads_ == 0 ? 0 : static_cast<double>(events_) / static_cast<double>(reads_));
  json += ",\"latency_us\":" + latency_.json() + ",\"first_event_us\":" + first_event_.json() +
          ",\"event_latency_us\":" + event_latency_.json();
  real("cpu_us", us_per(cpu_, units));  // of the service, per request or event
  real("load_cpu_us", us_per(own_cpu_, units));
  real("upstream_cpu_us", us_per(reference_cpu_, units));
  real("cpu_share", others == 0 ? 0 : static_cast<double>(cpu_) / others);
  real("cores", static_cast<double>(cpu_) / 1e9 / seconds);
  real("load_cores", static_cast<double>(own_cpu_) / 1e9 / seconds);
  real("upstream_cores", static_cast<double>(reference_cpu_) / 1e9 / seconds);
  const auto per_s = static_cast<double>(sysconf(_SC_CLK_TCK)) * seconds;
  const double ours = (others + static_cast<double>(cpu_)) / 1e9 / seconds;
  real("other_cores",
       std::max(0.0, static_cast<double>(machine_.busy) / per_s - ours));  // who else was at work
  real("stolen_cores", static_cast<double>(machine_.stolen) / per_s);
  const auto ticks = static_cast<double>(ticks_.first + ticks_.second);
  real("system_share", ticks == 0 ? 0 : static_cast<double>(ticks_.second) / ticks);
  json += ",\"before\":" + before_.json() + ",\"during\":" + during_.json() + ",\"after\":" + after_.json();
  const double grown = static_cast<double>(during_.rss_kib) - static_cast<double>(before_.rss_kib);
  if (options_.kind == scenario::hold)
    real("kib_per_stream", grown / static_cast<double>(options_.connections));
  real("settle_s", static_cast<double>(settle_ns) / 1e9);
  std::printf("%s}\n", json.c_str());
}

int usage() {
  std::fprintf(
      stderr,
      "usage: bench_load requests|streams|hold --to HOST:PORT [options]\n"
      "  --connections C (64)  --duration S (4)  --warmup S (1)  --once          each connection asks once\n"
      "  --events N (100)      --delay-ms D (0; hold: 1000)  --event-bytes B (200)  --answer-bytes B (400)\n"
      "  --body-bytes B        size of the prompt  --batch K   unpaced: events per send of the upstream\n"
      "  --pid P --ref-pid P   (each repeatable) the service's processes; upstream's, for the CPU ratio\n"
      "  --settle S (hold: 10) wait at most so long until RSS and fds are level again\n"
      "  --timeout S (10)      --key K (bench-key)  --path P (/v1/chat/completions)\n"
      "  --fault NAME          asks bench_upstream to break its answers  --tag NAME=VALUE  copied to the "
      "output\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  options o;
  if (argc < 2) return usage();
  o.name = argv[1];
  if (o.name == "streams") {
    o.kind = scenario::streams;
  } else if (o.name == "hold") {
    o.kind = scenario::hold;
    o.delay_ms = 1000;
    o.events = 1'000'000;
    o.settle = 10;
  } else if (o.name != "requests") {
    return usage();
  }
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--once") {
      o.once = true;
      continue;
    }
    if (++i == argc) return usage();
    const std::string value = argv[i];
    const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    const double real = std::strtod(value.c_str(), nullptr);
    if (name == "--to") {
      const size_t colon = value.rfind(':');
      if (colon == std::string::npos) return usage();
      o.host = value.substr(0, colon);
      o.port = static_cast<uint16_t>(std::strtoul(value.c_str() + colon + 1, nullptr, 10));
    } else if (name == "--connections") {
      o.connections = number;
    } else if (name == "--events") {
      o.events = std::max<uint64_t>(number, 1);
    } else if (name == "--delay-ms") {
      o.delay_ms = number;
    } else if (name == "--batch") {
      o.batch = number;
    } else if (name == "--duration") {
      o.duration = real;
    } else if (name == "--warmup") {
      o.warmup = real;
    } else if (name == "--settle") {
      o.settle = real;
    } else if (name == "--timeout") {
      o.timeout = real;
    } else if (name == "--body-bytes") {
      o.body_bytes = number;
    } else if (name == "--event-bytes") {
      o.event_bytes = number;
    } else if (name == "--answer-bytes") {
      o.answer_bytes = number;
    } else if (name == "--key") {
      o.key = value;
    } else if (name == "--path") {
      o.path = value;
    } else if (name == "--fault") {
      o.fault = value;
    } else if (name == "--pid") {
      o.pids.push_back(static_cast<pid_t>(number));
    } else if (name == "--ref-pid") {
      o.reference_pids.push_back(static_cast<pid_t>(number));
    } else if (name == "--tag") {
      const size_t equals = value.find('=');
      if (equals == std::string::npos) return usage();
      o.tags.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    } else {
      return usage();
    }
  }
  if (o.port == 0 || o.connections == 0 || o.event_bytes > bench::max_event_bytes ||
      o.answer_bytes > bench::max_answer_bytes)
    return usage();
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1);
  std::signal(SIGPIPE, SIG_IGN);
  const auto generator = std::make_unique<load>(std::move(o));
  return generator->run();
}
