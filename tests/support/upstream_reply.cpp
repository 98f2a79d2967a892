// One connection to the scripted upstream: the request, and the functions that send the answer step by step.
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace llm_proxy::test {

namespace {

constexpr std::size_t npos = std::string_view::npos;

/// Returns where the value of the first `"name":` at or after `from` begins.
std::size_t find_value(std::string_view body, std::string_view name, std::size_t from) {
  std::string key = "\"" + std::string(name) + "\"";
  for (std::size_t at = body.find(key, from); at != npos; at = body.find(key, at + 1)) {
    std::size_t value = body.find_first_not_of(" \t\r\n", at + key.size());
    if (value == npos || body[value] != ':') continue;
    return body.find_first_not_of(" \t\r\n", value + 1);
  }
  return npos;
}

/// Returns the text that begins at the quote, with its escapes unchanged.
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
    // This does not read, so bytes that the peer still sent are kept.
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

}  // namespace llm_proxy::test
