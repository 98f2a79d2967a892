#include "http/request/host_check.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <optional>

namespace llm_proxy {

namespace {

using ip_v6 = std::array<unsigned char, 16>;

/// Returns the 16 bytes of an IPv6 address, or of an IPv4 address mapped to IPv6. Only the dotted form of
/// IPv4 is accepted; the other forms that inet_aton() accepts are names according to RFC 3986 §3.2.2.
std::optional<ip_v6> parse_address(const std::string& text) {
  ip_v6 address{};
  if (inet_pton(AF_INET6, text.c_str(), address.data()) == 1) return address;
  address = {};
  address[10] = address[11] = 0xff;
  if (inet_pton(AF_INET, text.c_str(), address.data() + 12) == 1) return address;
  return std::nullopt;
}

bool is_loopback(const ip_v6& address) {
  constexpr ip_v6 one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  constexpr std::array<unsigned char, 13> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  return address == one || std::equal(mapped.begin(), mapped.end(), address.begin());
}

std::string lower_case(std::string_view text) {
  std::string out{text};
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_port(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_local_authority(std::string_view authority, std::string_view own_host) {
  const bool literal = authority.starts_with('[');
  const auto end = literal ? authority.find(']') : authority.find(':');
  if (literal && end == std::string_view::npos) return false;
  auto name = lower_case(literal ? authority.substr(1, end - 1) : authority.substr(0, end));
  const auto rest = end == std::string_view::npos ? std::string_view{} : authority.substr(end + literal);
  if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return false;
  const auto own = lower_case(own_host);
  const auto address = parse_address(name);
  const bool in_brackets = address && name.find(':') != std::string::npos;
  if (literal != in_brackets) return false;  // only an IPv6 address has brackets
  if (address) return is_loopback(*address) || address == parse_address(own);
  if (name.ends_with('.')) name.pop_back();  // the DNS root, which may end a full name
  return name == "localhost" || (name.size() > 10 && name.ends_with(".localhost")) ||
         (!name.empty() && name == own && !parse_address(own));
}

bool is_local_origin(std::string_view origin, std::string_view own_host) {
  constexpr std::string_view mark = "://";
  const auto at = origin.find(mark);
  if (at == std::string_view::npos || at == 0) return false;
  return is_local_authority(origin.substr(at + mark.size()), own_host);
}

std::string foreign_origin_of(const request_head& head, std::string_view own_host) {
  for (const auto field : head.headers) {
    if (iequals(field.name, "host") && !is_local_authority(field.value, own_host))
      return "Host " + std::string{field.value};
    if (iequals(field.name, "origin") && !is_local_origin(field.value, own_host))
      return "Origin " + std::string{field.value};
  }
  return {};
}

}  // namespace llm_proxy
