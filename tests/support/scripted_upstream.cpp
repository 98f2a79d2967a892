#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Returns a socket that is bound to loopback, and sets `port` to its port.
int bound_socket(bool ipv6, std::uint16_t& port) {
  int fd = ::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = in6addr_loopback;
  v6.sin6_port = htons(port);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.sin_port = htons(port);
  auto* address = ipv6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t length = ipv6 ? sizeof v6 : sizeof v4;
  if (::bind(fd, address, length) != 0 || ::getsockname(fd, address, &length) != 0) {
    int problem = errno;
    ::close(fd);
    errno = problem;
    fail("bind");
  }
  port = ntohs(ipv6 ? v6.sin6_port : v4.sin_port);
  return fd;
}

}  // namespace

scripted_upstream::scripted_upstream(upstream_script script)
    : scripted_upstream(std::move(script), options{}) {}

scripted_upstream::scripted_upstream(upstream_script script, options how)
    : how_(std::move(how)), port_(how_.port), script_(std::move(script)) {
  listener_ = bound_socket(how_.ipv6, port_);
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0 || ::listen(listener_, 1024) != 0) fail("listen");
  acceptor_ = std::thread([this] { accept_loop(); });
}

scripted_upstream::~scripted_upstream() {
  stop();
  ::close(stop_fd_);
}

void scripted_upstream::stop() {
  if (stopping_.exchange(true)) return;
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(stop_fd_, &one, sizeof one);
  acceptor_.join();
  ::close(listener_);
  // No worker is added any more, and no worker needs the map in order to end.
  for (auto& [connection, worker] : workers_) worker.join();
  workers_.clear();
}

void scripted_upstream::accept_loop() {
  while (!stopping_) {
    std::array<pollfd, 2> entries{pollfd{stop_fd_, POLLIN, 0}, pollfd{listener_, POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), -1) < 0) continue;
    if (entries[0].revents != 0) return;
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) continue;
    int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (how_.receive_buffer > 0) {
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &how_.receive_buffer, sizeof how_.receive_buffer);
    }
    if (how_.send_buffer > 0)
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &how_.send_buffer, sizeof how_.send_buffer);

    std::vector<std::thread> ended;
    {
      std::lock_guard lock(mutex_);
      for (std::size_t done : finished_) {
        ended.push_back(std::move(workers_.at(done)));
        workers_.erase(done);
      }
      finished_.clear();
      std::size_t connection = accepted_++;
      ++open_;
      workers_.emplace(connection, std::thread([this, fd, connection] { serve(fd, connection); }));
    }
    changed_.notify_all();
    for (auto& worker : ended) worker.join();
  }
}

void scripted_upstream::serve(int fd, std::size_t connection) {
  try {
    upstream_reply reply(*this, fd, connection);
    if (how_.on_connect) how_.on_connect(reply);
    for (std::size_t number = 0; reply.open_ && !stopping_; ++number) {
      upstream_request request;
      request.connection = connection;
      request.number = number;
      if (!reply.read_request(request, how_.read_bodies)) break;
      upstream_script script;
      {
        std::lock_guard lock(mutex_);
        requests_.push_back(request);
        script = script_;
      }
      changed_.notify_all();
      script(request, reply);
      // The part of a body that the script did not read would be taken for the next request.
      if (reply.body_chunked_ ? !reply.decoder_.done() : reply.body_left_ > 0) break;
    }
  } catch (const std::exception& problem) {
    std::lock_guard lock(mutex_);
    errors_.emplace_back(problem.what());
  }
  {
    std::lock_guard lock(mutex_);
    --open_;
    finished_.push_back(connection);
  }
  changed_.notify_all();
}

void scripted_upstream::note_closing(const upstream_closing& closing) {
  {
    std::lock_guard lock(mutex_);
    closings_.push_back(closing);
  }
  changed_.notify_all();
}

std::string scripted_upstream::url(std::string_view path) const {
  return (how_.ipv6 ? "http://[::1]:" : "http://127.0.0.1:") + std::to_string(port_) + std::string(path);
}

void scripted_upstream::set_script(upstream_script script) {
  std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

std::vector<upstream_request> scripted_upstream::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t scripted_upstream::request_count() const {
  std::lock_guard lock(mutex_);
  return requests_.size();
}

upstream_request scripted_upstream::request_at(std::size_t index, milliseconds timeout) const {
  if (!wait_for_requests(index + 1, timeout)) {
    throw std::runtime_error("scripted_upstream: request " + std::to_string(index) + " never came");
  }
  std::lock_guard lock(mutex_);
  return requests_.at(index);
}

upstream_request scripted_upstream::last_request() const {
  std::lock_guard lock(mutex_);
  if (requests_.empty()) throw std::runtime_error("scripted_upstream: no request came");
  return requests_.back();
}

std::size_t scripted_upstream::accepted() const {
  std::lock_guard lock(mutex_);
  return accepted_;
}

std::size_t scripted_upstream::open() const {
  std::lock_guard lock(mutex_);
  return open_;
}

std::vector<upstream_closing> scripted_upstream::closings() const {
  std::lock_guard lock(mutex_);
  return closings_;
}

std::vector<std::string> scripted_upstream::script_errors() const {
  std::lock_guard lock(mutex_);
  return errors_;
}

void scripted_upstream::clear_requests() {
  std::lock_guard lock(mutex_);
  requests_.clear();
}

template <class Predicate>
bool scripted_upstream::wait_until(milliseconds timeout, Predicate holds) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, holds);
}

bool scripted_upstream::wait_for_requests(std::size_t count, milliseconds timeout) const {
  return wait_until(timeout, [&] { return requests_.size() >= count; });
}

bool scripted_upstream::wait_for_accepted(std::size_t count, milliseconds timeout) const {
  return wait_until(timeout, [&] { return accepted_ >= count; });
}

bool scripted_upstream::wait_for_open(std::size_t count, milliseconds timeout) const {
  return wait_until(timeout, [&] { return open_ == count; });
}

std::optional<upstream_closing> scripted_upstream::closing_of(std::size_t connection,
                                                              milliseconds timeout) const {
  std::optional<upstream_closing> found;
  wait_until(timeout, [&] {
    auto at = std::find_if(closings_.begin(), closings_.end(),
                           [&](const upstream_closing& closing) { return closing.connection == connection; });
    if (at != closings_.end()) found = *at;
    return found.has_value();
  });
  return found;
}

std::string test_data(std::string_view file) {
  const auto path = std::filesystem::path{LLM_PROXY_TEST_DATA} / file;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("no test data " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

// ---- blackhole, refused_port

blackhole::blackhole() {
  listener_ = bound_socket(false, port_);
  if (::listen(listener_, 0) != 0) fail("listen");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_);
  // Connect until a connection is not accepted: then the backlog is full.
  for (int i = 0; i < 16; ++i) {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) fail("socket");
    fillers_.push_back(fd);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) continue;
    pollfd entry{fd, POLLOUT, 0};
    if (::poll(&entry, 1, 100) == 0) break;
  }
}

blackhole::~blackhole() {
  for (int fd : fillers_) ::close(fd);
  ::close(listener_);
}

refused_port::refused_port() {
  fd_ = bound_socket(false, port_);
}

refused_port::~refused_port() {
  ::close(fd_);
}

}  // namespace llm_proxy::test
