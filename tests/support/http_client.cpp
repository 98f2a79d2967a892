#include "support/http_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
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

constexpr std::size_t npos = std::string_view::npos;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int left_until(test_clock::time_point deadline) {
  auto left = std::chrono::ceil<milliseconds>(deadline - test_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
}

/// Waits for one of the events; false when time was up.
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
  if (address.find(':') != npos) {
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

/// Splits "name: value" lines into `out`; false when a line has no colon.
bool parse_fields(std::string_view text, header_list& out) {
  while (!text.empty()) {
    std::size_t end = text.find("\r\n");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == npos ? text.size() : end + 2);
    if (line.empty()) continue;
    std::size_t colon = line.find(':');
    if (colon == npos) return false;
    out.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return true;
}

template <class Number>
bool parse_number(std::string_view text, Number& out, int base = 10) {
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return problem == std::errc{} && end == text.data() + text.size();
}

/// Takes one line with its ending (LF, CRLF or CR) from `text`; nothing when its end is not there yet.
std::optional<std::string_view> take_line(std::string_view& text, bool at_end) {
  std::size_t end = text.find_first_of("\r\n");
  if (end == npos) return std::nullopt;
  std::size_t length = 1;
  if (text[end] == '\r') {
    if (end + 1 == text.size() && !at_end) {
      // A CR at the very end may be half of a CRLF; an empty line ends the event either way.
      if (end != 0) return std::nullopt;
    } else if (end + 1 < text.size() && text[end + 1] == '\n') {
      length = 2;
    }
  }
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + length);
  return line;
}

/// Takes events from `text`; how many bytes they took. A trailing piece without its blank line stays.
std::size_t parse_events(std::string_view text, bool with_unfinished, std::vector<std::string>& out) {
  std::string_view rest = text;
  std::size_t taken = 0;
  std::string data;
  bool has_data = false;
  auto field = [&](std::string_view line) {
    if (line.substr(0, 4) != "data") return;
    if (line.size() > 4 && line[4] != ':') return;
    line.remove_prefix(std::min<std::size_t>(5, line.size()));
    if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (has_data) data += '\n';
    data += line;
    has_data = true;
  };
  while (auto line = take_line(rest, with_unfinished)) {
    if (!line->empty()) {
      field(*line);
      continue;
    }
    if (has_data) out.push_back(std::move(data));
    data.clear();
    has_data = false;
    taken = text.size() - rest.size();
  }
  if (with_unfinished) {
    if (!rest.empty()) field(rest);
    if (has_data) out.push_back(std::move(data));
  }
  return taken;
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

bool iequals(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string find_header(const header_list& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (iequals(key, name)) return value;
  }
  return {};
}

std::vector<std::string> find_headers(const header_list& headers, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : headers) {
    if (iequals(key, name)) values.push_back(value);
  }
  return values;
}

// ---- raw_connection

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
    if (at != npos) return take(at + delimiter.size(), read_end::done);
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

// ---- chunk_decoder

void chunk_decoder::feed(std::string& in, std::string& out) {
  std::string_view rest = in;
  while (!done_ && !bad_) {
    if (part_ == part::data) {
      std::string_view piece = rest.substr(0, left_);
      if (piece.empty()) break;
      out += piece;
      chunks_.back() += piece;
      rest.remove_prefix(piece.size());
      left_ -= piece.size();
      if (left_ == 0) part_ = part::data_end;
      continue;
    }
    std::size_t end = rest.find("\r\n");
    if (end == npos) {
      if (part_ == part::data_end && rest.size() >= 2) bad_ = true;
      break;
    }
    std::string_view line = rest.substr(0, end);
    if (part_ == part::data_end) {
      bad_ = !line.empty();
      part_ = part::size;
    } else if (part_ == part::size) {
      bad_ = !parse_number(trim(line.substr(0, line.find(';'))), left_, 16);
      part_ = left_ == 0 ? part::trailer : part::data;
      if (left_ != 0) chunks_.emplace_back();
    } else if (line.empty()) {
      done_ = true;
    } else {
      bad_ = !parse_fields(line, trailers_);
    }
    if (!bad_) rest.remove_prefix(end + 2);
  }
  in.erase(0, in.size() - rest.size());
}

// ---- response_reader

response_reader::response_reader(raw_connection& connection, bool head_request)
    : connection_(connection), head_request_(head_request) {}

bool response_reader::parse_head(std::string_view head) {
  answer_.head = head;
  std::size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  std::size_t space = line.find(' ');
  if (line.substr(0, 5) != "HTTP/" || space == npos) return false;
  answer_.version = line.substr(0, space);
  line.remove_prefix(space + 1);
  if (!parse_number(line.substr(0, 3), answer_.status)) return false;
  answer_.reason = line.size() > 4 ? line.substr(4) : std::string_view{};
  answer_.headers.clear();
  return parse_fields(head.substr(line_end + 2), answer_.headers);
}

bool response_reader::read_head(milliseconds timeout) {
  if (head_read_) return true;
  auto deadline = test_clock::now() + timeout;
  for (;;) {
    received got = connection_.read_until(
        "\r\n\r\n",
        std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{})));
    if (got.end != read_end::done) {
      answer_.head = got.bytes;
      if (got.end == read_end::timeout) {
        connection_.buffer() = std::move(got.bytes);
        answer_.end = got.end;
      } else {
        finish(got.end);
      }
      return false;
    }
    if (!parse_head(got.bytes)) {
      answer_.malformed = true;
      finish(read_end::done);
      return false;
    }
    if (answer_.status >= 200 || answer_.status == 101) break;
    answer_.interim.push_back(answer_.status);
  }
  head_read_ = true;
  answer_.end = read_end::done;
  answer_.chunked = iequals(answer_.header("transfer-encoding"), "chunked");
  std::string length = answer_.header("content-length");
  if (head_request_ || answer_.status == 204 || answer_.status == 304 || answer_.status == 101) {
    answer_.complete = true;
    finish(read_end::done);
  } else if (answer_.chunked) {
    framing_ = framing::chunked;
    answer_.malformed = !length.empty();
  } else if (!length.empty()) {
    framing_ = framing::length;
    answer_.malformed = !parse_number(length, left_);
    if (left_ == 0) {
      answer_.complete = !answer_.malformed;
      finish(read_end::done);
    }
  } else {
    framing_ = framing::close;
  }
  return true;
}

bool response_reader::consume() {
  std::string& in = connection_.buffer();
  std::size_t before = answer_.body.size();
  if (framing_ == framing::chunked) {
    decoder_.feed(in, answer_.body);
    answer_.malformed = answer_.malformed || decoder_.bad();
    if (decoder_.done()) {
      answer_.trailers = decoder_.trailers();
      answer_.complete = true;
    }
    if (decoder_.done() || decoder_.bad()) finish(read_end::done);
  } else if (framing_ == framing::length) {
    std::size_t count = std::min(left_, in.size());
    answer_.body.append(in, 0, count);
    in.erase(0, count);
    left_ -= count;
    if (left_ == 0) {
      answer_.complete = true;
      finish(read_end::done);
    }
  } else {
    answer_.body += in;
    in.clear();
  }
  return answer_.body.size() != before || finished_;
}

bool response_reader::read_more(milliseconds timeout) {
  if (!head_read_ || finished_) return false;
  auto deadline = test_clock::now() + timeout;
  while (!consume()) {
    read_end end = connection_.fill(deadline);
    if (end == read_end::timeout) {
      answer_.end = end;
      return false;
    }
    if (end != read_end::done) {
      answer_.complete = framing_ == framing::close && end == read_end::eof;
      finish(end);
      return false;
    }
  }
  answer_.end = read_end::done;
  return true;
}

void response_reader::finish(read_end end) {
  finished_ = true;
  answer_.end = end;
  answer_.chunks = std::move(decoder_.chunks());
  answer_.closed = end == read_end::eof || end == read_end::reset;
  if (answer_.closed || !connection_.is_open()) return;
  char byte = 0;
  ssize_t count = ::recv(connection_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  answer_.closed = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

response read_response(raw_connection& connection, milliseconds timeout, bool head_request) {
  auto deadline = test_clock::now() + timeout;
  auto left = [&] {
    return std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{}));
  };
  response_reader reader(connection, head_request);
  if (reader.read_head(timeout)) {
    while (reader.read_more(left())) {
    }
  }
  return reader.take();
}

std::string make_request(std::string_view method, std::string_view target, const header_list& headers,
                         std::string_view body) {
  std::string text{method};
  text.append(" ").append(target).append(" HTTP/1.1\r\n");
  if (find_headers(headers, "host").empty()) text += "Host: localhost\r\n";
  for (const auto& [name, value] : headers) text.append(name).append(": ").append(value).append("\r\n");
  bool framed =
      !find_headers(headers, "content-length").empty() || !find_headers(headers, "transfer-encoding").empty();
  if (!framed && (!body.empty() || method == "POST")) {
    text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  }
  return text.append("\r\n").append(body);
}

response request(std::uint16_t port, std::string_view method, std::string_view target,
                 const header_list& headers, std::string_view body, milliseconds timeout) {
  raw_connection connection(port);
  // An early answer may come before all was sent, so a failed send is no reason not to read.
  connection.send(make_request(method, target, headers, body), timeout);
  return read_response(connection, timeout, method == "HEAD");
}

// ---- events

std::vector<std::string> sse_events(std::string_view body, bool with_unfinished) {
  std::vector<std::string> events;
  parse_events(body, with_unfinished, events);
  return events;
}

std::optional<timed_event> event_stream::next(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  while (given_ == events_.size()) {
    auto left =
        std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{}));
    if (!reader_.read_more(left)) return std::nullopt;
    std::vector<std::string> fresh;
    parsed_ += parse_events(std::string_view{answer().body}.substr(parsed_), false, fresh);
    for (auto& data : fresh) events_.push_back({std::move(data), test_clock::now()});
  }
  return events_[given_++];
}

std::vector<timed_event> event_stream::rest(milliseconds timeout) {
  auto deadline = test_clock::now() + timeout;
  std::vector<timed_event> events;
  for (;;) {
    auto left =
        std::chrono::ceil<milliseconds>(std::max(deadline - test_clock::now(), test_clock::duration{}));
    auto event = next(left);
    if (!event) return events;
    events.push_back(std::move(*event));
  }
}

}  // namespace llm_proxy::test
