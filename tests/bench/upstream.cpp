// The sockets of bench_upstream.
#include "upstream.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace bench {

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

/// Sends the bytes that wait and then `bytes`. Returns false if the socket is full (the rest waits in c.out)
/// or closed.
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

}  // namespace bench
