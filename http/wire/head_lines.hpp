// The single lines of a head (RFC 9112 §3 and §5). The parser of whole heads (head_parser.hpp) and the check
// of unfinished ones (partial_head.hpp) share these functions, so that both refuse the same lines. They are
// inline, because every request passes through them.
#pragma once

#include "http/text/text.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/head_parser.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace llm_proxy {

inline constexpr std::string_view request_line_with_control = "The request line holds control bytes.";
inline constexpr std::string_view field_with_control = "A header holds control bytes.";

inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

inline bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Reads a request line, given without its line's end, into `head`. Does not look for control bytes. Returns
/// errc::none, bad_request, version_not_supported or method_not_implemented.
failure parse_request_line(std::string_view line, request_head& head);

/// Splits a header line, which must not be empty, into name and value. Returns a literal that says what is
/// wrong with it; empty if nothing is.
inline std::string_view split_field(std::string_view line, header& field) {
  if (is_blank(line.front())) return "A header is folded over lines.";
  field.name = line.substr(0, token_size(line));
  if (field.name.empty() || field.name.size() == line.size() || line[field.name.size()] != ':')
    return "A header is not 'Name: value'.";
  field.value = trimmed(line.substr(field.name.size() + 1));
  return {};
}

/// Calls `take(element)` for each element of a comma-separated list (RFC 9110 §5.6.1) until it returns false.
/// Returns whether it always returned true.
template <class Take>
bool for_each_element(std::string_view list, Take take) {
  while (true) {
    const auto comma = list.find(',');
    if (!take(trimmed(list.substr(0, comma)))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

/// The fields that decide where a message ends and which host it is for. The functions return a literal that
/// says what is wrong; empty if nothing is.
class framing_fields {
 public:
  /// The rules for requests are stricter: upstream may repeat its content-length, a client may not.
  framing_fields(bool of_request, message_framing& framing) : of_request_{of_request}, framing_{framing} {}

  std::string_view take(std::string_view name, std::string_view value) {
    if (of_request_ && iequals(name, "host")) return take_host(value);
    if (iequals(name, "content-length")) return take_length(value);
    if (iequals(name, "transfer-encoding")) return take_coding(value);
    if (iequals(name, "connection")) return take_connection(value);
    return {};
  }

  /// Checks whether some of the fields so far exclude each other.
  std::string_view contradiction(bool http_1_0) const {
    if (framing_.content_length && framing_.chunked)
      return "Content-Length and Transfer-Encoding exclude each other.";
    if (of_request_ && http_1_0 && framing_.chunked) return "HTTP/1.0 has no Transfer-Encoding.";
    return {};
  }

  /// Judges all fields together. To be called after the last one.
  std::string_view judge(bool http_1_0) {
    if (const auto fault = contradiction(http_1_0); !fault.empty()) return fault;
    if (of_request_ && !http_1_0 && hosts_ == 0) return "The Host header is missing.";
    // RFC 9112 §6.1: after a chunked HTTP/1.0 message the connection is closed, because its framing may be
    // wrong.
    framing_.keep_alive = http_1_0 ? keep_alive_ && !framing_.chunked : !close_;
    return {};
  }

 private:
  std::string_view take_host(std::string_view value) {
    if (++hosts_ > 1) return "The Host header is there twice.";
    if (!is_valid_host(value)) return "The Host header is not a host.";
    return {};
  }

  std::string_view take_length(std::string_view value) {
    constexpr std::string_view no_length = "The Content-Length header is not a length.";
    if (of_request_) {
      if (framing_.content_length) return "The Content-Length header is there twice.";
      return add_length(value) ? std::string_view{} : no_length;
    }
    // RFC 9110 §8.6: a list that repeats one length stands for that length.
    const bool same = for_each_element(value, [&](std::string_view each) { return add_length(each); });
    return same ? std::string_view{} : no_length;
  }

  bool add_length(std::string_view digits) {
    if (!all_digits(digits) || digits.size() > 18) return false;
    const auto length = parse_number<std::uint64_t>(digits).value_or(0);
    if (framing_.content_length && *framing_.content_length != length) return false;
    framing_.content_length = length;
    return true;
  }

  std::string_view take_coding(std::string_view value) {
    if (std::exchange(framing_.chunked, true) || !iequals(value, "chunked"))
      return "The only Transfer-Encoding understood is a single 'chunked'.";
    return {};
  }

  std::string_view take_connection(std::string_view value) {
    const bool tokens = for_each_element(value, [&](std::string_view each) {
      close_ = close_ || iequals(each, "close");
      keep_alive_ = keep_alive_ || iequals(each, "keep-alive");
      return each.empty() || is_token(each);
    });
    return tokens ? std::string_view{} : "The Connection header is not a list of names.";
  }

  bool of_request_;
  message_framing& framing_;
  std::size_t hosts_ = 0;
  bool close_ = false;
  bool keep_alive_ = false;
};

}  // namespace llm_proxy
