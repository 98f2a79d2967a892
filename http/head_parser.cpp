#include "http/head_parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::array<std::string_view, 9> known_methods{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};

failure refuse(errc code, std::string message = {}) {
  return {code, std::move(message), {}, {}};
}

/// What a registered name may hold (RFC 3986 §3.2.2): unreserved, sub-delims, pct-encoded.
constexpr auto host_chars = detail::letters_digits_and("-._~!$&'()*+,;=%");

/// Looks for a byte that no header line may hold (RFC 9110 §5.5): CTLs but the tab.
bool has_control(std::string_view line) {
  return std::any_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

/// Not 0 if one of `count` bytes from `at` on is a control byte other than the tab, or half a line's end; the
/// byte behind them is looked at too. No early exit: with a fixed `count` the loop becomes a few vectors.
unsigned char control_among(const char* at, std::size_t count) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(at[i]);
    const auto next = static_cast<unsigned char>(at[i + 1]);
    const auto control = static_cast<unsigned char>((byte < 0x20) | (byte == 0x7f));
    const auto allowed = static_cast<unsigned char>((byte == '\t') | (byte == '\r') | (byte == '\n'));
    const auto half_end = static_cast<unsigned char>((byte == '\r') != (next == '\n'));
    found |= static_cast<unsigned char>((control & ~allowed) | half_end);
  }
  return found;
}

/// False: no line of `head`, which ends in LF, has_control(). True: one may have.
bool may_have_control(std::string_view head) {
  constexpr std::size_t block = 32;
  if (head.empty() || head.front() == '\n') return true;
  const auto size = head.size() - 1;
  if (size < block) return control_among(head.data(), size) != 0;
  unsigned char found = control_among(head.data() + size - block, block);  // the rest of the loop's, and more
  for (std::size_t at = 0; at + block <= size; at += block) found |= control_among(head.data() + at, block);
  return found != 0;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

failure check_target(std::string_view method, std::string_view target) {
  const auto printable = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; };
  if (target.empty() || !std::all_of(target.begin(), target.end(), printable)) {
    return refuse(errc::bad_request, "The request target holds blanks or control bytes.");
  }
  if (target.find('#') != std::string_view::npos) {
    return refuse(errc::bad_request, "The request target holds a fragment.");
  }
  const bool origin_form = target.front() == '/';
  // RFC 9110 §4.2.1, §4.2.4: an http address without a host, or with user info, is to be rejected.
  const auto authority = istarts_with(target, "http://")    ? target.substr(7)
                         : istarts_with(target, "https://") ? target.substr(8)
                                                            : std::string_view{};
  const bool absolute_form = is_valid_host(authority.substr(0, authority.find_first_of("/?")));
  const bool asterisk_form = target == "*" && method == "OPTIONS";
  const bool authority_form = method == "CONNECT" && is_valid_host(target);
  if (!origin_form && !absolute_form && !asterisk_form && !authority_form) {
    return refuse(errc::bad_request, "The request target is neither a path nor an absolute http address.");
  }
  return refuse(errc::none);
}

/// `http://host/path` → `/path` (RFC 9112 §3.2.2: origin servers must accept the absolute form).
std::string origin_form(std::string_view target) {
  const auto scheme = target.find("://");
  if (target.front() == '/' || scheme == std::string_view::npos) return std::string{target};
  const auto path = target.find_first_of("/?", scheme + 3);
  if (path == std::string_view::npos) return "/";
  return (target[path] == '?' ? "/" : "") + std::string{target.substr(path)};
}

failure parse_request_line(std::string_view line, request_head& head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse(errc::bad_request, "The request line is not 'METHOD target HTTP/1.1'.");
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (!is_token(method)) return refuse(errc::bad_request, "The method is not a token.");
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    return refuse(errc::bad_request, "The request line does not end in an HTTP version.");
  }
  if (auto fault = check_target(method, target); fault.code != errc::none) return fault;
  head.method = method;
  head.target = origin_form(target);
  head.minor_version = version == "HTTP/1.0" ? 0 : 1;
  if (head.minor_version == 1 && version != "HTTP/1.1") return refuse(errc::version_not_supported);
  if (std::find(known_methods.begin(), known_methods.end(), method) == known_methods.end()) {
    return refuse(errc::method_not_implemented);
  }
  return refuse(errc::none);
}

/// The status, where that is a status line (RFC 9112 §4).
std::optional<unsigned> parse_status_line(std::string_view line, unsigned& minor_version) {
  constexpr std::size_t code_end = 12;
  if (line.size() <= code_end || !line.starts_with("HTTP/1.") || line[8] != ' ' || line[code_end] != ' ')
    return std::nullopt;
  if (line[7] != '0' && line[7] != '1') return std::nullopt;
  minor_version = line[7] == '0' ? 0 : 1;
  unsigned status = 0;
  if (!all_digits(line.substr(9, 3))) return std::nullopt;
  std::from_chars(line.data() + 9, line.data() + code_end, status);
  return status;
}

/// Calls `take(element)` for those of a comma-separated list (RFC 9110 §5.6.1), as long as it answers true.
template <class Take>
bool for_each_element(std::string_view list, Take take) {
  while (true) {
    const auto comma = list.find(',');
    if (!take(trimmed(list.substr(0, comma)))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

/// The fields that decide where a message ends and whom it is for. Answers are literals that say what is
/// wrong; empty: nothing.
class framing_fields {
 public:
  /// A client gets no benefit of the doubt, upstream may repeat its length.
  framing_fields(bool of_request, message_framing& framing) : of_request_{of_request}, framing_{framing} {}

  std::string_view take(std::string_view name, std::string_view value) {
    if (of_request_ && iequals(name, "host")) return take_host(value);
    if (iequals(name, "content-length")) return take_length(value);
    if (iequals(name, "transfer-encoding")) return take_coding(value);
    if (iequals(name, "connection")) return take_connection(value);
    return {};
  }

  std::string_view judge(bool http_1_0) {
    if (framing_.content_length && framing_.chunked)
      return "Content-Length and Transfer-Encoding exclude each other.";
    if (of_request_ && http_1_0 && framing_.chunked) return "HTTP/1.0 has no Transfer-Encoding.";
    if (of_request_ && !http_1_0 && hosts_ == 0) return "The Host header is missing.";
    // RFC 9112 §6.1: what such a peer frames is not to be trusted a second time.
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
    // RFC 9110 §8.6: a list of the same length is that length.
    const bool same = for_each_element(value, [&](std::string_view each) { return add_length(each); });
    return same ? std::string_view{} : no_length;
  }

  bool add_length(std::string_view digits) {
    if (!all_digits(digits) || digits.size() > 18) return false;
    std::uint64_t length = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), length);
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

/// Reads the lines behind a head's first one. `suspect`: one may hold control bytes. `joins_folds`: a value
/// may go on in a line that begins with a blank (RFC 9112 §5.2: only ever in a response, and undone here).
/// Empty, or what is wrong.
std::string_view parse_fields(std::string_view lines, bool suspect, bool joins_folds, header_list& headers,
                              framing_fields& framing) {
  const auto text = headers.hold_text(lines);
  std::string_view rest{text.data(), text.size()};
  while (true) {
    auto end = rest.find("\r\n");
    while (joins_folds && end != 0 && end + 2 < rest.size() && is_blank(rest[end + 2])) {
      const auto fold = static_cast<std::size_t>(rest.data() - text.data()) + end;
      text[fold] = text[fold + 1] = ' ';
      end = rest.find("\r\n", end);
    }
    if (end == std::string_view::npos) return "The head ends within a line.";
    const auto line = rest.substr(0, end);
    if (line.empty()) return {};
    rest.remove_prefix(end + 2);
    if (suspect && has_control(line)) return "A header holds control bytes.";
    if (is_blank(line.front())) return "A header is folded over lines.";
    const auto name = line.substr(0, token_size(line));
    if (name.empty() || name.size() == line.size() || line[name.size()] != ':')
      return "A header is not 'Name: value'.";
    const auto value = trimmed(line.substr(name.size() + 1));
    headers.mark(name, value);
    if (const auto fault = framing.take(name, value); !fault.empty()) return fault;
  }
}

}  // namespace

bool is_valid_host(std::string_view host) {
  if (host.empty() || host.size() > 255 + 6) return false;
  std::string_view port;
  bool has_port = false;
  if (host.front() == '[') {
    const auto end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const auto literal = host.substr(1, end - 1);
    const auto literal_char = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
    };
    if (!std::all_of(literal.begin(), literal.end(), literal_char)) return false;
    const auto rest = host.substr(end + 1);
    if (rest.empty()) return true;
    if (rest.front() != ':') return false;
    port = rest.substr(1);
    has_port = true;
  } else {
    const auto colon = host.find(':');
    const auto name = host.substr(0, colon);
    const auto name_char = [](char c) { return host_chars[static_cast<unsigned char>(c)]; };
    if (name.empty() || !std::all_of(name.begin(), name.end(), name_char)) return false;
    if (colon != std::string_view::npos) {
      port = host.substr(colon + 1);
      has_port = true;
    }
  }
  return !has_port || port.empty() || (all_digits(port) && port.size() <= 5);
}

failure check_partial_head(std::string_view head, std::size_t from) {
  for (auto at = head.find('\n', from); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (at == 0 || head[at - 1] != '\r') return refuse(errc::bad_request, "A line ends without CR.");
  }
  const auto first_line = head.substr(0, head.find("\r\n"));
  if (first_line.size() > max_request_line) return refuse(errc::uri_too_long);
  if (head.size() > max_head) return refuse(errc::head_too_large);
  return refuse(errc::none);
}

failure parse_request_head(std::string_view text, request_head& head) {
  const auto line_end = text.find("\r\n");
  if (line_end == std::string_view::npos) return refuse(errc::bad_request);
  if (line_end > max_request_line) return refuse(errc::uri_too_long);
  if (text.size() > max_head) return refuse(errc::head_too_large);
  const bool suspect = may_have_control(text);
  if (suspect && has_control(text.substr(0, line_end))) {
    return refuse(errc::bad_request, "The request line holds control bytes.");
  }
  auto line_fault = parse_request_line(text.substr(0, line_end), head);
  // What makes a head unreadable comes before what makes it unwelcome.
  if (line_fault.code == errc::bad_request) return line_fault;
  framing_fields framing{true, head};
  auto fault = parse_fields(text.substr(line_end + 2), suspect, false, head.headers, framing);
  if (!fault.empty()) return refuse(errc::bad_request, std::string{fault});
  if (line_fault.code == errc::version_not_supported) return line_fault;
  fault = framing.judge(head.minor_version == 0);
  if (!fault.empty()) return refuse(errc::bad_request, std::string{fault});
  if (const auto expect = head.headers.find("expect"))
    head.expects_continue = iequals(*expect, "100-continue") && head.minor_version == 1;
  return line_fault;
}

failure parse_response_head(std::string_view text, response_head& head, message_framing& framing) {
  const auto invalid = [](std::string_view what) {
    return failure{errc::upstream_invalid_response, {}, std::string{what}, {}};
  };
  const auto line_end = text.find("\r\n");
  const bool suspect = may_have_control(text);
  const auto line = text.substr(0, line_end);
  unsigned minor_version = 1;
  const auto status = parse_status_line(line, minor_version);
  if (line_end == std::string_view::npos || !status || (suspect && has_control(line)))
    return invalid("The answer does not begin with a status line.");
  head.status = *status;
  framing_fields fields{false, framing};
  auto fault = parse_fields(text.substr(line_end + 2), suspect, true, head.headers, fields);
  if (fault.empty()) fault = fields.judge(minor_version == 0);
  return fault.empty() ? refuse(errc::none) : invalid(fault);
}

}  // namespace llm_proxy
