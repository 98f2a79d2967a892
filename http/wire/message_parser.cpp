#include "http/wire/message_parser.hpp"

#include "http/wire/head_parser.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view not_http = "The model gateway's answer is not valid HTTP.";

/// Returns the size of the head that `bytes` begins with, or 0 if its end has not come yet. `checked` says
/// how many bytes were looked at before.
std::size_t head_size(std::string_view bytes, std::size_t checked) {
  const auto from = checked - std::min(checked, head_end.size() - 1);
  const auto end = bytes.find(head_end, from);
  return end == std::string_view::npos ? 0 : end + head_end.size();
}

/// Whether a response may begin with these bytes (RFC 9112 §4). If not, it is refused before its end has
/// come.
bool begins_like_http(std::string_view bytes) {
  constexpr std::string_view name = "HTTP/";
  return name.starts_with(bytes.substr(0, name.size()));
}

/// Returns the number in the form `1,234,567`, for people to read.
std::string grouped(std::uint64_t number) {
  auto digits = std::to_string(number);
  for (auto at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

failure unusable(std::string_view message, std::string detail) {
  return {
      .code = errc::upstream_invalid_response, .message = std::string{message}, .detail = std::move(detail)};
}

}  // namespace

// -- bodies ----------------------------------------------------------------------------

std::size_t body_reader::read(std::string_view bytes, std::string& sink) {
  if (ends_ == by::chunks) return chunks_.read(bytes, sink);
  const auto size = ends_ == by::close ? bytes.size() : std::min<std::uint64_t>(bytes.size(), left_);
  sink.append(bytes.substr(0, size));
  if (ends_ == by::length) left_ -= size;
  return size;
}

// -- requests --------------------------------------------------------------------------

std::size_t request_parser::read_head(std::string_view bytes, failure& fault) {
  // RFC 9112 §2.2: empty lines before a request line are ignored.
  std::size_t blank = 0;
  while (blank < 8 && bytes.substr(blank, 2) == "\r\n") blank += 2;
  const auto text = bytes.substr(blank);
  const auto size = head_size(text, checked_);
  if (size == 0) {
    if (!partial_) partial_ = std::make_unique<partial_head>();
    fault = partial_->check(text);
    checked_ = text.size();
    return 0;
  }
  fault = parse_request_head(text.substr(0, size), head_);
  if (fault.code != errc::none) return 0;
  partial_.reset();
  head_done_ = true;
  if (head_.chunked) {
    body_.expect_chunks();
  } else {
    body_.expect_bytes(head_.content_length.value_or(0));
  }
  return blank + size;
}

std::size_t request_parser::read_body(std::string_view bytes, std::string& sink, failure& fault) {
  if (done() || bytes.empty()) return 0;
  const auto used = body_.read(bytes, sink);
  if (body_.broken())
    fault = {.code = errc::bad_request, .message = "The request body's chunked framing is broken."};
  return used;
}

// -- responses -------------------------------------------------------------------------

std::size_t response_parser::read(std::string_view bytes, std::optional<response_head>& head,
                                  std::string& sink, failure& fault) {
  any_byte_ = any_byte_ || !bytes.empty();
  std::size_t used = 0;
  while (!head_done_) {
    const auto size = read_head(bytes.substr(used), head, fault);
    if (size == 0) return used;
    used += size;
  }
  if (used == bytes.size() || done()) return used;
  const auto before = sink.size();
  used += body_.read(bytes.substr(used), sink);
  body_bytes_ += sink.size() - before;
  if (body_.broken())
    fault =
        unusable("The chunked framing of the model gateway's answer is broken.", "broken chunked framing");
  return used;
}

/// Returns the bytes consumed: 0 while more is needed, or when there is a fault.
std::size_t response_parser::read_head(std::string_view bytes, std::optional<response_head>& head,
                                       failure& fault) {
  const auto size = head_size(bytes, checked_);
  if (size > max_head || (size == 0 && bytes.size() > max_head)) {
    fault = unusable("The head of the model gateway's answer is too large.", "endless head");
    return 0;
  }
  if (!begins_like_http(bytes)) {
    fault = unusable(not_http, "no status line");
    return 0;
  }
  checked_ = bytes.size();
  if (size == 0) return 0;
  checked_ = 0;
  response_head found;
  message_framing framing;
  fault = parse_response_head(bytes.substr(0, size), found, framing);
  if (fault.code == errc::none && found.status == 101)
    fault = unusable("The model gateway switched protocols without being asked to.", "101 was not asked for");
  if (fault.code != errc::none) {
    if (fault.message.empty()) fault.message = not_http;
    return 0;
  }
  if (found.status / 100 == 1) return size;
  head_done_ = true;
  keep_alive_ = framing.keep_alive;
  const auto status = head.emplace(std::move(found)).status;
  if (to_head_ || status == 204 || status == 304) return size;
  if (framing.chunked) {
    body_.expect_chunks();
  } else if (framing.content_length) {
    announced_ = framing.content_length;
    body_.expect_bytes(*framing.content_length);
  } else {
    body_.expect_close();
    keep_alive_ = false;
  }
  return size;
}

void response_parser::read_end(failure& fault) {
  if (done()) return;
  closed_ = head_done_ && body_.ends_by_close();
  if (closed_) return;
  fault = broken_off(any_byte_ ? "closed within an answer" : "closed without an answer");
}

failure response_parser::broken_off(std::string detail) const {
  std::string message;
  if (!any_byte_) {
    message = "The model gateway closed the connection without an answer.";
  } else if (!head_done_) {
    message = "The model gateway closed the connection within the head of its answer.";
  } else {
    message = "The model gateway ended its answer before it was whole (";
    message +=
        announced_ ? grouped(body_bytes_) + " of " + grouped(*announced_) : "after " + grouped(body_bytes_);
    message += " bytes).";
  }
  return {.code = errc::upstream_disconnected, .message = std::move(message), .detail = std::move(detail)};
}

}  // namespace llm_proxy
