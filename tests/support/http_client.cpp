// Writes requests and reads answers.
#include "support/http_client.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sys/socket.h>
#include <system_error>

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

/// Splits "name: value" lines into `out`. Returns false if a line has no colon.
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

}  // namespace

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
  // An early answer may come before the whole request was sent, so read even if sending fails.
  connection.send(make_request(method, target, headers, body), timeout);
  return read_response(connection, timeout, method == "HEAD");
}

}  // namespace llm_proxy::test
