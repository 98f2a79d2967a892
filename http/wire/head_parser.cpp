#include "http/wire/head_parser.hpp"

#include "http/wire/head_lines.hpp"

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
  return {.code = code, .message = std::move(message)};
}

/// The characters that a registered name may hold (RFC 3986 §3.2.2): unreserved, sub-delims, pct-encoded.
constexpr auto host_chars = detail::letters_digits_and("-._~!$&'()*+,;=%");

/// Returns a value other than 0 if one of `count` bytes from `at` on is a control byte other than the tab, or
/// half a line's end. The byte after them is read too. The loop has no early exit, so that with a fixed
/// `count` it becomes a few vector instructions.
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

/// Returns false if no line of `head`, which ends in LF, has_control(). Returns true if one may have.
bool may_have_control(std::string_view head) {
  constexpr std::size_t block = 32;
  if (head.empty() || head.front() == '\n') return true;
  const auto size = head.size() - 1;
  if (size < block) return control_among(head.data(), size) != 0;
  unsigned char found = control_among(head.data() + size - block, block);  // what the loop leaves, and more
  for (std::size_t at = 0; at + block <= size; at += block) found |= control_among(head.data() + at, block);
  return found != 0;
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

/// Returns the status, or nullopt if this is not a status line (RFC 9112 §4).
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

/// Reads the lines after a head's first one. `suspect` says that one of them may hold control bytes.
/// `joins_folds` says that a value may go on in a line that begins with a blank, and is joined here (RFC 9112
/// §5.2: only in a response). Returns what is wrong; empty if nothing is.
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
    if (suspect && has_control(line)) return field_with_control;
    header field;
    if (const auto fault = split_field(line, field); !fault.empty()) return fault;
    headers.mark(field.name, field.value);
    if (const auto fault = framing.take(field.name, field.value); !fault.empty()) return fault;
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

failure parse_request_head(std::string_view text, request_head& head) {
  const auto line_end = text.find("\r\n");
  if (line_end == std::string_view::npos) return refuse(errc::bad_request);
  if (line_end > max_request_line) return refuse(errc::uri_too_long);
  if (text.size() > max_head) return refuse(errc::head_too_large);
  const bool suspect = may_have_control(text);
  if (suspect && has_control(text.substr(0, line_end))) {
    return refuse(errc::bad_request, std::string{request_line_with_control});
  }
  // The first fault decides, so that a head that comes in pieces gets the same answer.
  auto line_fault = parse_request_line(text.substr(0, line_end), head);
  if (line_fault.code != errc::none) return line_fault;
  framing_fields framing{true, head};
  auto fault = parse_fields(text.substr(line_end + 2), suspect, false, head.headers, framing);
  if (fault.empty()) fault = framing.judge(head.minor_version == 0);
  if (!fault.empty()) return refuse(errc::bad_request, std::string{fault});
  if (const auto expect = head.headers.find("expect"))
    head.expects_continue = iequals(*expect, "100-continue") && head.minor_version == 1;
  return refuse(errc::none);
}

failure parse_response_head(std::string_view text, response_head& head, message_framing& framing) {
  const auto invalid = [](std::string_view what) {
    return failure{.code = errc::upstream_invalid_response, .detail = std::string{what}};
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
