#include "http/head_check.hpp"

#include "http/message.hpp"

#include <algorithm>
#include <array>

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

/// False: no line of `head` has_control(). True: one may have.
bool may_have_control(std::string_view head) {
  // No early exit: the loop vectorises, and a head without is the usual one.
  unsigned char found = head.starts_with('\n') ? 1 : 0;
  for (std::size_t i = 0; i + 1 < head.size(); ++i) {
    const auto byte = static_cast<unsigned char>(head[i]);
    const auto next = static_cast<unsigned char>(head[i + 1]);
    const auto control = static_cast<unsigned char>((byte < 0x20) | (byte == 0x7f));
    const auto allowed = static_cast<unsigned char>((byte == '\t') | (byte == '\r') | (byte == '\n'));
    const auto half_end = static_cast<unsigned char>((byte == '\r') != (next == '\n'));
    found |= static_cast<unsigned char>((control & ~allowed) | half_end);
  }
  return found != 0;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
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

failure check_request_line(std::string_view line, bool& http_1_0) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse(errc::bad_request, "The request line is not 'METHOD target HTTP/1.1'.");
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  if (!is_token(method)) return refuse(errc::bad_request, "The method is not a token.");
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !digit(version[5]) || version[6] != '.' ||
      !digit(version[7])) {
    return refuse(errc::bad_request, "The request line does not end in an HTTP version.");
  }
  if (auto fault = check_target(method, target); fault.code != errc::none) return fault;
  http_1_0 = version == "HTTP/1.0";
  if (!http_1_0 && version != "HTTP/1.1") return refuse(errc::version_not_supported);
  if (std::find(known_methods.begin(), known_methods.end(), method) == known_methods.end()) {
    return refuse(errc::method_not_implemented);
  }
  return refuse(errc::none);
}

/// The fields that decide where a message ends and whom it is for.
struct framing_fields {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t transfer_encodings = 0;

  failure take(std::string_view name, std::string_view value) {
    if (iequals(name, "host")) {
      if (++hosts > 1) return refuse(errc::bad_request, "The Host header is there twice.");
      if (!is_valid_host(value)) return refuse(errc::bad_request, "The Host header is not a host.");
    } else if (iequals(name, "content-length")) {
      if (++lengths > 1) return refuse(errc::bad_request, "The Content-Length header is there twice.");
      if (!all_digits(value) || value.size() > 18) {
        return refuse(errc::bad_request, "The Content-Length header is not a length.");
      }
    } else if (iequals(name, "transfer-encoding")) {
      ++transfer_encodings;
      if (transfer_encodings > 1 || !iequals(value, "chunked")) {
        return refuse(errc::bad_request, "The only Transfer-Encoding understood is a single 'chunked'.");
      }
    }
    return refuse(errc::none);
  }

  failure judge(bool http_1_0) const {
    if (lengths > 0 && transfer_encodings > 0) {
      return refuse(errc::bad_request, "Content-Length and Transfer-Encoding exclude each other.");
    }
    if (http_1_0 && transfer_encodings > 0) {
      return refuse(errc::bad_request, "HTTP/1.0 has no Transfer-Encoding.");
    }
    if (!http_1_0 && hosts == 0) return refuse(errc::bad_request, "The Host header is missing.");
    return refuse(errc::none);
  }
};

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
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
             c == '.';
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
  if (head.size() > max_request_head) return refuse(errc::head_too_large);
  return refuse(errc::none);
}

failure check_request_head(std::string_view head) {
  const auto line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return refuse(errc::bad_request);
  if (line_end > max_request_line) return refuse(errc::uri_too_long);
  if (head.size() > max_request_head) return refuse(errc::head_too_large);
  bool http_1_0 = false;
  const bool suspect = may_have_control(head);
  if (suspect && has_control(head.substr(0, line_end))) {
    return refuse(errc::bad_request, "The request line holds control bytes.");
  }
  const auto line_fault = check_request_line(head.substr(0, line_end), http_1_0);
  // What makes a head unreadable comes before what makes it unwelcome.
  if (line_fault.code == errc::bad_request) return line_fault;
  framing_fields framing;
  auto rest = head.substr(line_end + 2);
  while (true) {
    const auto end = rest.find("\r\n");
    if (end == std::string_view::npos) return refuse(errc::bad_request, "The head ends within a line.");
    const auto line = rest.substr(0, end);
    if (line.empty()) break;
    rest.remove_prefix(end + 2);
    if (suspect && has_control(line)) {
      return refuse(errc::bad_request, "A header holds control bytes.");
    }
    if (line.front() == ' ' || line.front() == '\t') {
      return refuse(errc::bad_request, "A header is folded over lines.");
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return refuse(errc::bad_request, "A header is not 'Name: value'.");
    }
    if (auto fault = framing.take(line.substr(0, colon), trimmed(line.substr(colon + 1)));
        fault.code != errc::none) {
      return fault;
    }
  }
  if (line_fault.code == errc::version_not_supported) return line_fault;
  if (auto fault = framing.judge(http_1_0); fault.code != errc::none) return fault;
  return line_fault;
}

}  // namespace llm_proxy
