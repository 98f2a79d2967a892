#include "http/wire/partial_head.hpp"

#include "http/wire/head_parser.hpp"

#include <algorithm>
#include <string>

namespace llm_proxy {

namespace {

failure refuse(errc code, std::string_view message = {}) {
  return {.code = code, .message = std::string{message}};
}

}  // namespace

failure partial_head::check(std::string_view head) {
  for (auto end = head.find('\n', checked_); end != std::string_view::npos; end = head.find('\n', checked_)) {
    if (end == line_begin_ || head[end - 1] != '\r')
      return refuse(errc::bad_request, "A line ends without CR.");
    auto fault = check_line(head.substr(line_begin_, end - 1 - line_begin_));
    if (fault.code != errc::none) return fault;
    line_begin_ = checked_ = end + 1;
  }
  // A CR at the end may be half a line's end.
  const auto size = head.ends_with('\r') ? head.size() - 1 : head.size();
  const auto rest = head.substr(line_begin_, size - line_begin_);
  auto fault = check_rest(rest, checked_ - line_begin_);
  if (fault.code == errc::none && head.size() > max_head) fault = refuse(errc::head_too_large);
  checked_ = size;
  return fault;
}

failure partial_head::check_line(std::string_view line) {
  const bool first = line_begin_ == 0;
  if (first && line.size() > max_request_line) return refuse(errc::uri_too_long);
  if (has_control(line))
    return refuse(errc::bad_request, first ? request_line_with_control : field_with_control);
  if (first) return parse_request_line(line, line_);
  if (line.empty()) return refuse(errc::none);
  header field;
  auto fault = split_field(line, field);
  if (fault.empty()) fault = fields_.take(field.name, field.value);
  if (fault.empty()) fault = fields_.contradiction(line_.minor_version == 0);
  return fault.empty() ? refuse(errc::none) : refuse(errc::bad_request, fault);
}

/// `rest` is an unfinished line, of which `known` bytes were looked at before.
failure partial_head::check_rest(std::string_view rest, std::size_t known) const {
  const bool first = line_begin_ == 0;
  if (first && rest.size() > max_request_line) return refuse(errc::uri_too_long);
  if (has_control(rest.substr(known)))
    return refuse(errc::bad_request, first ? request_line_with_control : field_with_control);
  if (!first || rest.empty()) return refuse(errc::none);
  const auto method = rest.substr(0, rest.find(' '));
  const auto fresh = method.substr(std::min(known, method.size()));
  if (method.empty() || (!fresh.empty() && !is_token(fresh)))
    return refuse(errc::bad_request, "The method is not a token.");
  return refuse(errc::none);
}

}  // namespace llm_proxy
