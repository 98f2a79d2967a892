#include "load.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {

load::load(options o)
    : options_(std::move(o)),
      event_(make_event(options_.event_bytes, false)),
      last_event_(make_event(options_.event_bytes, true)),
      answer_(make_answer(options_.answer_bytes)) {
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
  if (options_.event_bytes != default_event_bytes)
    body += ",\"bench_event_bytes\":" + std::to_string(options_.event_bytes);
  if (options_.answer_bytes != default_answer_bytes)
    body += ",\"bench_answer_bytes\":" + std::to_string(options_.answer_bytes);
  if (options_.batch != 0) body += ",\"bench_batch\":" + std::to_string(options_.batch);
  if (!options_.fault.empty()) body += ",\"bench_fault\":\"" + options_.fault + "\"";
  body += ",\"max_tokens\":";
  const size_t count_at = body.size();
  body.append(seq_digits, ' ').append(",\"bench_id\":");
  const size_t id_at = body.size();
  body.append(id_digits, ' ').append("}");
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

/// Runs turns of the loop until `condition()` is true or the deadline has passed.
void load::loop_until(uint64_t deadline, auto condition) {
  for (;;) {
    const uint64_t now = monotonic_ns();
    if (now >= deadline || condition()) return;
    turn(deadline);
  }
}

void load::turn(uint64_t until) {
  // The number of connections that wait for their first answer is limited, because the listen queue is finite
  // and the load should rise gradually.
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
  // The first stream of each connection has a length of its own, so that streams that were opened together do
  // not end and start again together.
  const bool first = c.events == 0;
  c.events = options_.events;
  if (first && options_.kind == scenario::streams && !options_.once)
    c.events = c.id * 7919 % options_.events + 1;
  put_number(request_.data() + request_id_at_, id_digits, c.id, ' ');
  put_number(request_.data() + request_count_at_, seq_digits, c.events, ' ');
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
    if (c.now == state::idle || c.now == state::retiring) {  // the service may close an idle connection
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

/// Counts the error, closes the connection, and tries again a little later. Always returns false.
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
  machine_ = ticks_of_machine();
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
  const auto machine = ticks_of_machine();
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
    // The order of the events that arrived was checked. Whether the last ones are missing shows only by the
    // time.
    const uint64_t overdue = 2 * options_.delay_ms * 1'000'000 + stall_ns;
    for (auto& c : connections_)
      if (c->now == state::reading && window_end_ > c->progress + overdue) fail(*c, wrong::timeout);
  }
  // From now on no request is begun. Requests that have been sent already may still be answered, and these
  // answers are checked like all others. Streams that would take too long are closed.
  issuing_ = options_.once && !unused_.empty();
  retries_.clear();
  const double stream_seconds =
      streaming() ? static_cast<double>(options_.events * options_.delay_ms) / 1000 : 0;
  const bool left_early = options_.kind == scenario::hold && stream_seconds > 60;
  const double drain =
      left_early ? 0.5
                 : (options_.kind == scenario::hold ? stream_seconds : std::min(stream_seconds, 10.0)) + 5;
  loop_until(monotonic_ns() + ns(drain), all_ended);
  for (auto& c : connections_) {
    if (c->fd < 0) continue;
    if (c->now != state::retiring && c->now != state::idle) {
      ++abandoned_;
      // All other answers must have arrived by now. Only streams that are longer than the run may be open.
      if (!left_early && stream_seconds <= 10) ++wrongs_[static_cast<size_t>(wrong::timeout)];
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

}  // namespace bench
