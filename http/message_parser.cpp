#include "http/message_parser.hpp"

#include "http/head_check.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <limits>

namespace llm_proxy {

namespace detail {

namespace {

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

template <bool is_request>
beast_parser<is_request>::beast_parser() {
  this->header_limit(max_request_head);
  this->body_limit(boost::none);  // limits are the session's business: it answers 413
  this->eager(true);
  headers.reserve(16, 512);
}

template <bool is_request>
void beast_parser<is_request>::on_request_impl(verb, beast_view method_text, beast_view target_text,
                                               int http_version, error_code&) {
  version = http_version;
  method = view(method_text);
  target = view(target_text);
}

template <bool is_request>
void beast_parser<is_request>::on_response_impl(int code, beast_view, int, error_code&) {
  status = static_cast<unsigned>(code);
}

template <bool is_request>
void beast_parser<is_request>::on_field_impl(field, beast_view name, beast_view value, error_code&) {
  if (!head_done_) headers.add(view(name), view(value));
}

template <bool is_request>
void beast_parser<is_request>::on_header_impl(error_code&) {
  head_done_ = true;
}

template <bool is_request>
void beast_parser<is_request>::on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) {}

template <bool is_request>
std::size_t beast_parser<is_request>::on_body_impl(beast_view bytes, error_code&) {
  body_sink->append(bytes.data(), bytes.size());
  return bytes.size();
}

template <bool is_request>
void beast_parser<is_request>::on_chunk_header_impl(std::uint64_t, beast_view, error_code&) {}

template <bool is_request>
std::size_t beast_parser<is_request>::on_chunk_body_impl(std::uint64_t, beast_view bytes, error_code&) {
  return bytes.size();
}

template <bool is_request>
void beast_parser<is_request>::on_finish_impl(error_code&) {}

template class beast_parser<true>;
template class beast_parser<false>;

}  // namespace detail

namespace {

using boost::beast::error_code;

/// `http://host/path` → `/path` (RFC 9112 §3.2.2: origin servers must accept the absolute form).
std::string origin_form(std::string target) {
  const auto scheme = target.find("://");
  if (target.empty() || target.front() == '/' || scheme == std::string::npos) return target;
  const auto path = target.find_first_of("/?", scheme + 3);
  if (path == std::string::npos) return "/";
  return target[path] == '?' ? "/" + target.substr(path) : target.substr(path);
}

}  // namespace

request_parser::request_parser() = default;

std::size_t request_parser::read_head(std::string_view bytes, failure& fault) {
  // RFC 9112 §2.2: empty lines before a request line are ignored.
  std::size_t blank = 0;
  while (blank < 8 && bytes.substr(blank, 2) == "\r\n") blank += 2;
  const auto head_text = bytes.substr(blank);
  const auto from = checked_ > 3 ? checked_ - 3 : 0;
  const auto end = head_text.find("\r\n\r\n", from);
  if (end == std::string_view::npos) {
    fault = check_partial_head(head_text, from);
    checked_ = head_text.size();
    return 0;
  }
  const auto head = head_text.substr(0, end + 4);
  fault = check_request_head(head);
  if (fault.code != errc::none) return 0;
  error_code ec;
  parser_.eager(false);
  parser_.put(boost::asio::buffer(head.data(), head.size()), ec);
  if (ec || !parser_.is_header_done()) {
    fault = {errc::bad_request, {}, ec.message(), {}};
    return 0;
  }
  parser_.eager(true);
  return blank + head.size();
}

request_head request_parser::take_head() {
  request_head head;
  head.method = std::move(parser_.method);
  head.target = origin_form(std::move(parser_.target));
  head.headers = std::move(parser_.headers);
  head.minor_version = parser_.version == 10 ? 0 : 1;
  head.keep_alive = parser_.keep_alive();
  head.chunked = parser_.chunked();
  if (auto length = parser_.content_length()) head.content_length = *length;
  if (const auto expect = head.headers.find("expect")) {
    head.expects_continue = iequals(*expect, "100-continue") && head.minor_version == 1;
  }
  return head;
}

std::size_t request_parser::read_body(std::string_view bytes, std::string& sink, failure& fault) {
  if (done() || bytes.empty()) return 0;
  if (parser_.chunked()) {
    const auto used = chunks_.read(bytes, sink);
    if (chunks_.broken())
      fault = {errc::bad_request, "The request body's chunked framing is broken.", {}, {}};
    return used;
  }
  parser_.body_sink = &sink;
  error_code ec;
  const auto used = parser_.put(boost::asio::buffer(bytes.data(), bytes.size()), ec);
  if (ec && ec != boost::beast::http::error::need_more) fault = {errc::bad_request, {}, ec.message(), {}};
  return used;
}

response_parser::response_parser(bool to_head) : to_head_{to_head} {
  restart();
}

void response_parser::restart() {
  parser_ = std::make_unique<detail::beast_parser<false>>();
  if (to_head_) parser_->skip(true);
}

std::size_t response_parser::read(std::string_view bytes, std::string& sink, failure& fault) {
  std::size_t used = 0;
  while (used < bytes.size() && !done()) {
    if (chunked_) {
      used += chunks_.read(bytes.substr(used), sink);
      if (chunks_.broken()) fault = {errc::upstream_invalid_response, {}, "broken chunked framing", {}};
      return used;
    }
    parser_->body_sink = &sink;
    parser_->eager(head_done_);
    error_code ec;
    const auto consumed = parser_->put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), ec);
    used += consumed;
    const bool more = ec == boost::beast::http::error::need_more;
    if (more) ec = {};
    if (!head_done_) head_bytes_ += consumed;
    const bool endless_head =
        !parser_->is_header_done() && head_bytes_ + bytes.size() - used > max_request_head;
    if (ec || endless_head) {
      fault = {errc::upstream_invalid_response, {}, ec ? ec.message() : "endless head", {}};
      return used;
    }
    if (!head_done_ && parser_->is_header_done()) {
      const auto coding = parser_->headers.find("transfer-encoding");
      if (coding &&
          (!iequals(trimmed(*coding), "chunked") || parser_->headers.count("transfer-encoding") > 1)) {
        fault = {errc::upstream_invalid_response, {}, "unknown transfer-encoding", {}};
        return used;
      }
      if (parser_->status == 101) {
        fault = {errc::upstream_invalid_response, {}, "101 was not asked for", {}};
        return used;
      }
      if (parser_->status / 100 == 1) {
        restart();
        continue;
      }
      head_done_ = true;
      keep_alive_ = parser_->keep_alive();
      chunked_ = parser_->chunked() && !parser_->is_done();
      if (done()) break;
      continue;
    }
    if (more) break;
  }
  return used;
}

void response_parser::read_end(failure& fault) {
  if (done()) return;
  if (chunked_) {
    fault = {errc::upstream_disconnected, {}, "closed within an answer", {}};
    return;
  }
  error_code ec;
  if (!parser_->got_some()) {
    fault = {errc::upstream_disconnected, {}, "closed without an answer", {}};
    return;
  }
  parser_->put_eof(ec);
  if (ec) fault = {errc::upstream_disconnected, {}, "closed within an answer", {}};
}

response_head response_parser::take_head() {
  response_head head{parser_->status, std::move(parser_->headers)};
  if (chunked_) parser_.reset();
  return head;
}

}  // namespace llm_proxy
