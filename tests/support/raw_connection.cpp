// A test's socket, which sends and reads with a deadline.
#include "support/http_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

int left_until(test_clock::time_point deadline) {
  auto left = std::chrono::ceil<milliseconds>(deadline - test_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
}

/// Waits for one of the events. Returns false if the deadline passed.
bool wait_for(int fd, short events, test_clock::time_point deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    int ready = ::poll(&entry, 1, left_until(deadline));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return true;
  }
}

[[noreturn]] void fail(int code, const char* what) {
  throw std::system_error(code, std::generic_category(), what);
}

socklen_t make_address(const std::string& address, std::uint16_t port, sockaddr_storage& out) {
  out = {};
  if (address.find(':') != std::string::npos) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    if (::inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) != 1) fail(EINVAL, "address");
    return sizeof(sockaddr_in6);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &v4->sin_addr) != 1) fail(EINVAL, "address");
  return sizeof(sockaddr_in);
}

}  // namespace

const char* to_string(read_end end) {
  switch (end) {
    case read_end::done:
      return "done";
    case read_end::eof:
      return "eof";
    case read_end::reset:
      return "reset";
    case read_end::timeout:
      return "timeout";
  }
  return "?";
}

raw_connection::raw_connection(std::uint16_t port) : raw_connection(port, options{}) {}

raw_connection::raw_connection(std::uint16_t port, const options& how) {
  sockaddr_storage address;
  socklen_t length = make_address(how.address, port, address);
  int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail(errno, "socket");
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (how.receive_buffer > 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &how.receive_buffer, sizeof how.receive_buffer);
  }
  int problem = 0;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    problem = errno;
    if (problem == EINPROGRESS) {
      problem = ETIMEDOUT;
      if (wait_for(fd, POLLOUT, test_clock::now() + how.connect_timeout)) {
        socklen_t size = sizeof problem;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
      }
    }
  }
  if (problem != 0) {
    ::close(fd);
    fail(problem, "connect");
  }
  fd_ = fd;
}

raw_connection::raw_connection(raw_connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

raw_connection& raw_connection::operator=(raw_connection&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

raw_connection::~raw_connection() {
  close();
}

std::size_t raw_connection::send_some(std::string_view bytes, milliseconds timeout) {
  std::size_t sent = 0;
  auto deadline = test_clock::now() + timeout;
  while (fd_ >= 0 && sent < bytes.size()) {
    ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      deadline = test_clock::now() + timeout;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline)) break;
    } else if (errno != EINTR) {
      break;
    }
  }
  return sent;
}

bool raw_connection::send(std::string_view bytes, milliseconds timeout) {
  return send_some(bytes, timeout) == bytes.size();
}

bool raw_connection::send_slowly(std::string_view bytes, std::size_t piece, milliseconds pause) {
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, std::max<std::size_t>(piece, 1));
    if (!send(part)) return false;
    bytes.remove_prefix(part.size());
    if (!bytes.empty()) std::this_thread::sleep_for(pause);
  }
  return true;
}

read_end raw_connection::fill(test_clock::time_point deadline) {
  std::array<char, 65536> block;
  while (fd_ >= 0) {
    ssize_t count = ::recv(fd_, block.data(), block.size(), 0);
    if (count > 0) {
      buffer_.append(block.data(), static_cast<std::size_t>(count));
      return read_end::done;
    }
    if (count == 0) return read_end::eof;
    if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLIN, deadline)) return read_end::timeout;
    } else if (errno != EINTR) {
      return read_end::reset;
    }
  }
  return read_end::eof;
}

received raw_connection::take(std::size_t count, read_end end) {
  received got{buffer_.substr(0, count), end};
  buffer_.erase(0, count);
  return got;
}

received raw_connection::read_some(milliseconds timeout) {
  read_end end = read_end::done;
  if (buffer_.empty()) end = fill(test_clock::now() + timeout);
  return take(buffer_.size(), end);
}

received raw_connection::read_until(std::string_view delimiter, milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  std::size_t searched = 0;
  for (;;) {
    std::size_t at = buffer_.find(delimiter, searched);
    if (at != std::string::npos) return take(at + delimiter.size(), read_end::done);
    searched = buffer_.size() < delimiter.size() ? 0 : buffer_.size() - delimiter.size() + 1;
    read_end end = fill(deadline);
    if (end != read_end::done) return take(buffer_.size(), end);
  }
}

received raw_connection::read_exactly(std::size_t count, milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  while (buffer_.size() < count) {
    read_end end = fill(deadline);
    if (end != read_end::done) return take(buffer_.size(), end);
  }
  return take(count, read_end::done);
}

received raw_connection::read_to_end(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  for (;;) {
    read_end end = fill(deadline);
    if (end == read_end::done && test_clock::now() >= deadline) end = read_end::timeout;
    if (end != read_end::done) return take(buffer_.size(), end);
  }
}

read_end raw_connection::wait_closed(milliseconds timeout) {
  return read_to_end(timeout).end;
}

bool raw_connection::stays_quiet(milliseconds time) {
  return buffer_.empty() && fill(test_clock::now() + time) == read_end::timeout;
}

void raw_connection::half_close() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

void raw_connection::reset() {
  if (fd_ < 0) return;
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void raw_connection::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::uint16_t raw_connection::local_port() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace llm_proxy::test
