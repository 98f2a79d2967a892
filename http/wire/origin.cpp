#include "http/wire/origin.hpp"

#include "http/text/text.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace llm_proxy {

namespace {

constexpr std::size_t longest_host = 255;  // RFC 1035 §2.3.4

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return detail::lower_case[static_cast<unsigned char>(c)]; });
  return out;
}

/// `text` is in lower case. RFC 3986 §3.1.
bool is_scheme(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

/// Returns the text of an IPv6 address in its shortest form (RFC 5952), in brackets.
std::optional<std::string> shortest_ipv6(const std::string& text) {
  in6_addr address{};
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (inet_pton(AF_INET6, text.c_str(), &address) != 1 ||
      inet_ntop(AF_INET6, &address, out.data(), out.size()) == nullptr)
    return std::nullopt;
  return '[' + std::string{out.data()} + ']';
}

/// Whether a host in lower case, which is no IPv6 address, may be that of an origin. If its last label is a
/// number, browsers take it for an IPv4 address (WHATWG URL, "ends in a number checker").
bool is_host(const std::string& host) {
  const bool has_only_known = std::all_of(host.begin(), host.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
  });
  if (host.empty() || host.size() > longest_host || !has_only_known || host.front() == '.') return false;
  if (host.find("..") != std::string::npos) return false;
  const auto dot = host.rfind('.');
  const auto last = std::string_view{host}.substr(dot == std::string::npos ? 0 : dot + 1);
  in_addr address{};
  return last.empty() || !std::all_of(last.begin(), last.end(), is_digit) ||
         inet_pton(AF_INET, host.c_str(), &address) == 1;
}

/// Returns the port that a URL of the scheme means if it has none; 0 if there is no such port.
std::uint16_t default_port(std::string_view scheme) {
  if (scheme == "http") return 80;
  return scheme == "https" ? 443 : 0;
}

origin_reading faulty(std::string_view why) {
  return {{}, why};
}

}  // namespace

origin_reading read_origin(std::string_view text) {
  if (text == "*")
    return faulty("is refused, because it would let the pages of every site in; list the origins");
  if (iequals(text, "null")) return faulty("is refused, because every sandboxed page has this origin");
  if (text.find('*') != std::string_view::npos)
    return faulty("has a wildcard, but only whole origins can be listed");
  const auto mark = text.find("://");
  if (mark == std::string_view::npos) return faulty("has no scheme; write it as https://app.example.com");
  const auto scheme = lower_case(text.substr(0, mark));
  if (!is_scheme(scheme)) return faulty("has no valid scheme; write it as https://app.example.com");
  auto rest = text.substr(mark + 3);
  if (rest.find_first_of("/?#\\") != std::string_view::npos)
    return faulty("has a path, but an origin ends with its host or port, without a slash");
  if (rest.find('@') != std::string_view::npos) return faulty("has a user name, which no origin has");

  const bool in_brackets = rest.starts_with('[');
  const auto host_end = in_brackets ? rest.find(']') : rest.find(':');
  auto host = lower_case(rest.substr(in_brackets ? 1 : 0, host_end - (in_brackets ? 1 : 0)));
  rest.remove_prefix(std::min(rest.size(), host_end));
  if (in_brackets) {
    auto address = rest.empty() ? std::nullopt : shortest_ipv6(host);
    if (!address) return faulty("has no valid IPv6 address in its brackets");
    host = std::move(*address);
    rest.remove_prefix(1);
  } else if (host.empty()) {
    return faulty("has no host");
  } else if (!is_host(host)) {
    return faulty("has no valid host (other letters than those of ASCII are written as xn--…)");
  }
  auto origin = scheme + "://" + host;
  if (rest.empty()) return {std::move(origin), {}};
  const auto port = rest.starts_with(':') ? parse_number<std::uint16_t>(rest.substr(1)) : std::nullopt;
  if (!port || *port == 0) return faulty("has no valid port; it is a number from 1 to 65535");
  if (*port != default_port(scheme)) origin += ':' + std::to_string(*port);
  return {std::move(origin), {}};
}

}  // namespace llm_proxy
