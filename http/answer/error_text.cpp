#include "http/answer/error_text.hpp"

#include "http/answer/litellm_message.hpp"
#include "http/text/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace llm_proxy {

namespace {

/// Returns the length of an IPv4 address with or without port at the front of `text`; 0 if there is none.
std::size_t ipv4_length(std::string_view text) {
  std::size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    std::size_t digits = 0;
    while (digits < 4 && at + digits < text.size() && is_digit(text[at + digits])) ++digits;
    if (digits == 0 || digits > 3) return 0;
    at += digits;
    if (part == 3) break;
    if (at == text.size() || text[at] != '.') return 0;
    ++at;
  }
  if (at < text.size() && (text[at] == '.' && at + 1 < text.size() && is_digit(text[at + 1]))) return 0;
  if (at + 1 < text.size() && text[at] == ':' && is_digit(text[at + 1])) {
    ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
  }
  return at;
}

/// Whether a URL's host is internal: an IP address, a name without a dot, a host with a port, or a name with
/// an internal suffix.
bool is_inner_host(std::string_view host) {
  const auto colon = host.find(':');
  if (host.empty() || host.front() == '[' || colon != std::string_view::npos) return true;
  constexpr std::array<std::string_view, 4> suffixes{".internal", ".local", ".svc", ".lan"};
  return host.find('.') == std::string_view::npos || ipv4_length(host) == host.size() ||
         std::any_of(suffixes.begin(), suffixes.end(), [&](auto suffix) { return host.ends_with(suffix); });
}

/// Returns the length of a URL with an internal host at the front of `text`; 0 if there is none. URLs of
/// databases always count as internal.
std::size_t inner_url_length(std::string_view text) {
  std::size_t scheme = 0;
  for (const std::string_view each : {"http://", "https://", "redis://", "postgres://", "postgresql://"}) {
    if (text.substr(0, each.size()) == each) scheme = each.size();
  }
  if (scheme == 0) return 0;
  const auto end = std::min(text.find_first_of(" \t\r\n'\"<>)],;", scheme), text.size());
  const auto rest = text.substr(scheme, end - scheme);
  const auto host = rest.substr(0, rest.find_first_of("/?#"));
  return text[0] == 'h' && !is_inner_host(host) ? 0 : end;
}

/// Returns the length of `host name:port` at the front of `text`, as in aiohttp's "Cannot connect to host …";
/// 0 if there is none.
std::size_t host_and_port_length(std::string_view text) {
  constexpr std::string_view word = "host ";
  if (text.substr(0, word.size()) != word) return 0;
  const auto end = std::min(text.find_first_of(" \t\r\n'\"", word.size()), text.size());
  const auto name = text.substr(word.size(), end - word.size());
  const auto colon = name.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && colon + 1 < name.size() && is_digit(name[colon + 1]);
  return has_port ? end : 0;
}

/// Returns the length of a Python object's repr at the front of `text`, `<x.Y object at 0x7f…>`; 0 if there
/// is none.
std::size_t object_length(std::string_view text) {
  if (text.front() != '<') return 0;
  const auto end = text.find('>');
  const auto repr = text.substr(0, end == std::string_view::npos ? 0 : end);
  return repr.find(" object at 0x") == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

std::string without_internals(std::string_view message) {
  const auto kept_text = without_additions(message);
  const std::string_view kept = kept_text;
  std::string out;
  out.reserve(kept.size());
  for (std::size_t i = 0; i < kept.size();) {
    const auto rest = kept.substr(i);
    if (const auto url = inner_url_length(rest)) {
      out += "[address]";
      i += url;
    } else if (const auto host = host_and_port_length(rest)) {
      out += "host [address]";
      i += host;
    } else if (const auto object = object_length(rest)) {
      out += "[object]";
      i += object;
    } else if (const auto ip =
                   i == 0 || (!is_digit(kept[i - 1]) && kept[i - 1] != '.') ? ipv4_length(rest) : 0) {
      out += "[address]";
      i += ip;
    } else {
      out += kept[i++];
    }
  }
  return out;
}

unsigned long waiting_time(std::string_view message) {
  for (const std::string_view phrase : {"try again in ", "retry after ", "Retry after ", "retry in "}) {
    const auto at = message.find(phrase);
    if (at == std::string_view::npos) continue;
    auto rest = message.substr(at + phrase.size());
    double seconds = 0;
    bool any = false;
    for (;;) {
      double number = 0;
      const auto [end, fault] =
          std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
      if (fault != std::errc{} || !(number >= 0)) break;
      rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
      if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
      double unit = 1;
      if (rest.starts_with("ms") || rest.starts_with("milli"))
        unit = 0.001;
      else if (rest.starts_with("m"))
        unit = 60;
      else if (rest.starts_with("h"))
        unit = 3600;
      seconds += number * unit;
      any = true;
      while (!rest.empty() && std::isalpha(static_cast<unsigned char>(rest.front())) != 0)
        rest.remove_prefix(1);
      if (rest.empty() || !is_digit(rest.front())) break;
    }
    if (any && seconds < 7 * 24 * 3600.0)
      return std::max(1UL, static_cast<unsigned long>(std::ceil(seconds)));
  }
  return 0;
}

}  // namespace llm_proxy
