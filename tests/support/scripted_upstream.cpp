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

constexpr std::size_t npos = std::string_view::npos;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// A socket bound to loopback; the port it got goes to `port`.
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

/// Where the value of `"name":` begins, from `from` on.
std::size_t find_value(std::string_view body, std::string_view name, std::size_t from) {
  std::string key = "\"" + std::string(name) + "\"";
  for (std::size_t at = body.find(key, from); at != npos; at = body.find(key, at + 1)) {
    std::size_t value = body.find_first_not_of(" \t\r\n", at + key.size());
    if (value == npos || body[value] != ':') continue;
    return body.find_first_not_of(" \t\r\n", value + 1);
  }
  return npos;
}

/// The text that begins at the quote, escapes as they are.
std::string quoted(std::string_view body, std::size_t at) {
  if (at == npos || body[at] != '"') return {};
  std::size_t end = at + 1;
  while (end < body.size() && body[end] != '"') end += body[end] == '\\' ? 2 : 1;
  return std::string(body.substr(at + 1, std::min(end, body.size()) - at - 1));
}

std::string hex(std::size_t number) {
  std::array<char, 20> digits;
  auto [end, problem] = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return std::string(digits.data(), problem == std::errc{} ? end : digits.data());
}

}  // namespace

// ---- upstream_request

std::string upstream_request::text(std::string_view name) const {
  return quoted(body, find_value(body, name, 0));
}

std::string upstream_request::last_text(std::string_view name) const {
  std::string last;
  for (std::size_t at = find_value(body, name, 0); at != npos; at = find_value(body, name, at)) {
    if (body[at] == '"') last = quoted(body, at);
  }
  return last;
}

bool upstream_request::is_true(std::string_view name) const {
  std::size_t at = find_value(body, name, 0);
  return at != npos && std::string_view{body}.substr(at, 4) == "true";
}

// ---- upstream_reply

upstream_reply::upstream_reply(scripted_upstream& server, int fd, std::size_t connection)
    : server_(server), fd_(fd), connection_(connection) {}

upstream_reply::~upstream_reply() {
  close();
}

bool upstream_reply::stopping() const {
  return server_.stopping_;
}

upstream_reply::wake upstream_reply::wait(short events, std::optional<test_clock::time_point> deadline) {
  for (;;) {
    if (server_.stopping_) return wake::stop;
    std::array<pollfd, 2> entries{pollfd{server_.stop_fd_, POLLIN, 0},
                                  pollfd{events != 0 ? fd_ : -1, events, 0}};
    int left = -1;
    if (deadline) {
      auto until = std::chrono::ceil<milliseconds>(*deadline - test_clock::now()).count();
      left = static_cast<int>(std::clamp<long long>(until, 0, 1'000'000'000));
    }
    int ready = ::poll(entries.data(), entries.size(), left);
    if (ready == 0) return wake::timeout;
    if (ready < 0) continue;
    if (entries[0].revents != 0) return wake::stop;
    if (entries[1].revents != 0) return wake::ready;
  }
}

void upstream_reply::peer_left(read_end how) {
  if (peer_end_) return;
  peer_end_ = upstream_closing{connection_, how, test_clock::now()};
  server_.note_closing(*peer_end_);
}

read_end upstream_reply::fill(std::optional<test_clock::time_point> deadline) {
  std::array<char, 65536> block;
  while (open_) {
    ssize_t count = ::recv(fd_, block.data(), block.size(), 0);
    if (count > 0) {
      buffer_.append(block.data(), static_cast<std::size_t>(count));
      return read_end::done;
    }
    if (count == 0) {
      peer_left(read_end::eof);
      return read_end::eof;
    }
    if (errno == EAGAIN) {
      if (wait(POLLIN, deadline) != wake::ready) return read_end::timeout;
    } else if (errno != EINTR) {
      peer_left(read_end::reset);
      return read_end::reset;
    }
  }
  return read_end::eof;
}

bool upstream_reply::read_request(upstream_request& out, bool with_body) {
  std::size_t end = npos;
  while ((end = buffer_.find("\r\n\r\n")) == npos) {
    if (fill(std::nullopt) != read_end::done) return false;
  }
  out.arrived = test_clock::now();
  out.head = buffer_.substr(0, end + 4);
  buffer_.erase(0, end + 4);
  std::string_view head = out.head;
  std::string_view line = head.substr(0, head.find("\r\n"));
  head.remove_prefix(line.size() + 2);
  std::size_t first = line.find(' ');
  std::size_t last = line.rfind(' ');
  out.method = line.substr(0, first);
  if (first != npos && last > first) out.target = line.substr(first + 1, last - first - 1);
  while (!head.empty()) {
    std::size_t stop = head.find("\r\n");
    std::string_view field = head.substr(0, stop);
    head.remove_prefix(stop == npos ? head.size() : stop + 2);
    std::size_t colon = field.find(':');
    if (colon == npos) continue;
    std::string_view value = field.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    out.headers.emplace_back(field.substr(0, colon), value);
  }
  body_chunked_ = iequals(out.header("transfer-encoding"), "chunked");
  decoder_ = {};
  body_left_ = 0;
  std::string length = out.header("content-length");
  std::from_chars(length.data(), length.data() + length.size(), body_left_);
  out.body_complete = !body_chunked_ && body_left_ == 0;
  if (!with_body) return true;
  while (!out.body_complete) {
    if (!body_step(out.body, std::nullopt)) return true;
    out.body_complete = body_chunked_ ? decoder_.done() : body_left_ == 0;
  }
  return true;
}

bool upstream_reply::body_step(std::string& out, std::optional<test_clock::time_point> deadline) {
  if (buffer_.empty() && fill(deadline) != read_end::done) return false;
  if (!body_chunked_) {
    std::size_t count = std::min(body_left_, buffer_.size());
    out.append(buffer_, 0, count);
    buffer_.erase(0, count);
    body_left_ -= count;
    return true;
  }
  std::size_t before = buffer_.size();
  decoder_.feed(buffer_, out);
  if (decoder_.bad()) return false;
  if (!decoder_.done() && buffer_.size() == before) return fill(deadline) == read_end::done;
  return true;
}

std::string upstream_reply::read_body(milliseconds timeout) {
  std::string body;
  auto deadline = test_clock::now() + timeout;
  while (body_chunked_ ? !decoder_.done() : body_left_ > 0) {
    if (!body_step(body, deadline)) break;
  }
  return body;
}

bool upstream_reply::send(std::string_view bytes) {
  while (open_ && !bytes.empty()) {
    ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      if (wait(POLLOUT, std::nullopt) != wake::ready) return false;
    } else if (errno != EINTR) {
      peer_left(read_end::reset);
      return false;
    }
  }
  return open_ && !server_.stopping_;
}

bool upstream_reply::head(int status, const header_list& headers, std::string_view reason) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text.append(reason).append("\r\n");
  for (const auto& [name, value] : headers) text.append(name).append(": ").append(value).append("\r\n");
  return send(text.append("\r\n"));
}

bool upstream_reply::json(int status, std::string_view body, const header_list& more) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " Scripted\r\n";
  if (find_headers(more, "content-type").empty()) text += "content-type: application/json\r\n";
  for (const auto& [name, value] : more) text.append(name).append(": ").append(value).append("\r\n");
  text.append("content-length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return send(text);
}

bool upstream_reply::recorded(std::string_view file) {
  return send(test_data(file));
}

bool upstream_reply::sse_head(const header_list& more) {
  header_list headers = more;
  if (find_headers(more, "content-type").empty()) {
    headers.insert(headers.begin(), {"content-type", "text/event-stream; charset=utf-8"});
  }
  headers.emplace_back("transfer-encoding", "chunked");
  return head(200, headers);
}

bool upstream_reply::sse(const std::vector<std::string>& events, const header_list& more,
                         milliseconds pause) {
  if (!sse_head(more)) return false;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (i != 0 && pause.count() > 0 && !sleep(pause)) return false;
    if (!event(events[i])) return false;
  }
  return end_chunks();
}

bool upstream_reply::chunk(std::string_view bytes) {
  return send(hex(bytes.size()).append("\r\n").append(bytes).append("\r\n"));
}

bool upstream_reply::event(std::string_view data) {
  return chunk(std::string("data: ").append(data).append("\n\n"));
}

bool upstream_reply::end_chunks(const header_list& trailers) {
  std::string text = "0\r\n";
  for (const auto& [name, value] : trailers) text.append(name).append(": ").append(value).append("\r\n");
  return send(text.append("\r\n"));
}

bool upstream_reply::sleep(milliseconds time) {
  auto deadline = test_clock::now() + time;
  wait_until_closed(time);
  return wait(0, deadline) != wake::stop;
}

std::optional<test_clock::time_point> upstream_reply::wait_until_closed(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  while (open_ && !peer_end_) {
    // Without reading: bytes that the peer sent on stay where they are.
    if (wait(POLLRDHUP, deadline) != wake::ready) return std::nullopt;
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &problem, &size);
    peer_left(problem != 0 ? read_end::reset : read_end::eof);
  }
  if (!peer_end_) return std::nullopt;
  return peer_end_->at;
}

void upstream_reply::hang() {
  while (!server_.stopping_ && alive() && !wait_until_closed(milliseconds{60'000})) {
  }
  close();
}

void upstream_reply::half_close() {
  if (open_) ::shutdown(fd_, SHUT_WR);
}

void upstream_reply::close() {
  if (!open_) return;
  open_ = false;
  ::close(fd_);
  if (!peer_end_) server_.note_closing({connection_, read_end::done, test_clock::now()});
}

void upstream_reply::reset() {
  if (!open_) return;
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

// ---- scripted_upstream

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
  // No worker is added any more, and none needs the map to end.
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
      // What the script left of a body would be taken for the next request.
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
  // Until one is left hanging: then the backlog is full.
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
