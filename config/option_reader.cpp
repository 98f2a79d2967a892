#include "config/option_reader.hpp"

#include "config/log_safe.hpp"
#include "http/text/text.hpp"
#include "http/wire/never_forwarded.hpp"
#include "http/wire/origin.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <type_traits>
#include <utility>

namespace llm_proxy {
namespace {

using std::chrono::milliseconds;
using std::string_literals::operator""s;

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> byte_units{
    {{"", 1}, {"KIB", 1024}, {"MIB", 1024 * 1024}, {"GIB", gib}}};
constexpr std::array<std::pair<std::string_view, double>, 4> time_units{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}
bool is_alnum(char c) {
  return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
}
bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
}

std::string in_quotes(std::string_view value) {
  return '"' + log_safe(value) + '"';
}

/// Returns the number; nullopt if the text is empty, has other characters than digits, or is too large for
/// the type.
std::optional<std::uint64_t> whole_number(std::string_view text) {
  return parse_number<std::uint64_t>(text);
}

complaint not_accepted(const option& o, std::string_view value) {
  return in_quotes(value) + " is not accepted; it takes " + accepted(o);
}

template <class Names, class T>
complaint read_name(const option& o, std::string_view value, const Names& names, T& out) {
  for (const auto& [name, meaning] : names) {
    if (upper(value) != upper(name)) continue;
    out = meaning;
    return {};
  }
  return not_accepted(o, value);
}

complaint read(const option& o, std::string_view value, llm_mode& out) {
  return read_name(o, value, mode_names, out);
}
complaint read(const option& o, std::string_view value, log_level& out) {
  return read_name(o, value, level_names, out);
}

complaint read(const option& o, std::string_view value, error_style& out) {
  return read_name(o, value, style_names, out);
}
complaint read(const option& o, std::string_view value, caller_to_litellm& out) {
  return read_name(o, value, caller_names, out);
}
complaint read(const option& o, std::string_view value, otel_sampler& out) {
  return read_name(o, value, sampler_names, out);
}
complaint read(const option& o, std::string_view value, double& out) {
  const auto number = parse_number<double>(value);
  const bool in_range =
      number && *number >= static_cast<double>(o.least) && *number <= static_cast<double>(o.most);
  if (!in_range) return not_accepted(o, value);
  out = *number;
  return {};
}
complaint read(const option& o, std::string_view value, bool& out) {
  return read_name(o, value, flag_names, out);
}

template <class T>
requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) complaint
    read(const option& o, std::string_view value, T& out) {
  std::uint64_t unit = 1;
  std::string_view digits = value;
  if (o.type == kind::bytes) {
    while (!digits.empty() && !is_digit(digits.back())) digits.remove_suffix(1);
    const auto suffix = upper(trim(value.substr(digits.size())));
    const auto found =
        std::find_if(byte_units.begin(), byte_units.end(), [&](auto& u) { return u.first == suffix; });
    if (found == byte_units.end()) return not_accepted(o, value);
    unit = found->second;
  }
  const auto number = whole_number(digits);
  if (!number || *number > o.most / unit || *number * unit < o.least) return not_accepted(o, value);
  out = static_cast<T>(*number * unit);
  return {};
}

complaint read(const option& o, std::string_view value, milliseconds& out) {
  std::string_view unit_name = value;
  while (!unit_name.empty() && (is_digit(unit_name.front()) || unit_name.front() == '.'))
    unit_name.remove_prefix(1);
  const std::string_view digits = value.substr(0, value.size() - unit_name.size());
  unit_name = trim(unit_name);
  if (unit_name.empty()) unit_name = o.type == kind::millis ? "ms" : "s";
  const auto unit =
      std::find_if(time_units.begin(), time_units.end(), [&](auto& u) { return u.first == unit_name; });

  const auto number = parse_number<double>(digits);
  if (unit == time_units.end() || !number) return not_accepted(o, value);
  const double ms = *number * unit->second;
  if (ms > static_cast<double>(o.most) || ms < static_cast<double>(o.least)) return not_accepted(o, value);
  // Such a value would be rounded to 0, which means "off", the opposite of what was meant.
  if (ms > 0 && ms < 1) return in_quotes(value) + " is too short; the least is 1ms (0 = off)";
  out = milliseconds{std::llround(ms)};
  return {};
}

/// Returns the parts of a comma-separated list that are not empty.
std::vector<std::string_view> list_of(std::string_view value) {
  std::vector<std::string_view> parts;
  while (!value.empty()) {
    const auto comma = std::min(value.find(','), value.size());
    const auto part = trim(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

bool is_plain_text(std::string_view value);
bool is_url_path(std::string_view path);
bool is_upstream_url(std::string_view url);

complaint read(const option& o, std::string_view value, std::vector<model_alias>& out) {
  std::vector<model_alias> aliases;
  for (const auto pair : list_of(value)) {
    const auto equals = pair.find('=');
    const auto name = trim(pair.substr(0, equals));
    const auto model = equals == std::string_view::npos ? std::string_view{} : trim(pair.substr(equals + 1));
    if (name.empty() || model.empty() || pair.size() > o.most || !is_plain_text(pair))
      return not_accepted(o, pair);
    if (std::any_of(aliases.begin(), aliases.end(), [&](const auto& known) { return known.name == name; }))
      return in_quotes(name) + " is given twice";
    if (std::count(name.begin(), name.end(), '*') > 1)
      return in_quotes(name) + " has more than one *; one may stand for any characters, as in claude-opus-*";
    aliases.push_back({std::string{name}, std::string{model}});
  }
  out = std::move(aliases);
  return {};
}

complaint read_paths(const option& o, std::string_view value, std::vector<std::string>& out) {
  std::vector<std::string> paths;
  for (auto path : list_of(value)) {
    while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
    if (path.front() != '/' || !is_url_path(path)) return not_accepted(o, path);
    if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.emplace_back(path);
  }
  out = std::move(paths);
  return {};
}

complaint read_origins(const option& o, std::string_view value, std::vector<std::string>& out) {
  std::vector<std::string> origins;
  for (const auto part : list_of(value)) {
    if (part.size() > o.most) return not_accepted(o, part);
    auto read = read_origin(part);
    if (!read.fault.empty()) return in_quotes(part).append(" ").append(read.fault);
    if (std::find(origins.begin(), origins.end(), read.origin) == origins.end())
      origins.push_back(std::move(read.origin));
  }
  out = std::move(origins);
  return {};
}

/// Complaints do not show the addresses, because they might contain a password.
complaint read_urls(const option& o, std::string_view value, std::vector<std::string>& out) {
  constexpr std::size_t most = 32;
  std::vector<std::string> urls;
  const auto list = list_of(value);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto place = "in place " + std::to_string(i + 1);
    if (list[i].size() > o.most || !is_upstream_url(list[i]))
      return (list.size() == 1 ? "is no usable address" : "has no usable address " + place) + "; it takes " +
             accepted(o);
    if (std::find(urls.begin(), urls.end(), list[i]) != urls.end())
      return "has an address " + place + " that stands there twice";
    urls.emplace_back(list[i]);
  }
  if (urls.empty()) return "is no usable address; it takes " + accepted(o);
  if (urls.size() > most) return "has more than " + std::to_string(most) + " addresses";
  out = std::move(urls);
  return {};
}

/// Returns whether a name with a * matches only names that are never forwarded.
bool is_never_forwarded_pattern(const std::string& name) {
  const auto star = name.find('*');
  if (star == std::string::npos) return never_forwarded(name);
  const auto with = [&](std::string_view part) {
    return name.substr(0, star).append(part) + name.substr(star + 1);
  };
  return never_forwarded(with("")) && never_forwarded(with("a"));
}

complaint read(const option& o, std::string_view value, std::vector<std::string>& out) {
  if (o.type == kind::paths) return read_paths(o, value, out);
  if (o.type == kind::origins) return read_origins(o, value, out);
  if (o.type == kind::urls) return read_urls(o, value, out);
  std::vector<std::string> names;
  for (const auto part : list_of(value)) {
    const auto name = lower(part);
    // token of RFC 9110 section 5.6.2
    if (!std::all_of(name.begin(), name.end(),
                     [](char c) { return is_alnum(c) || "!#$%&'*+-.^_`|~"s.find(c) != std::string::npos; }))
      return in_quotes(name) + " is no header name; it takes names such as x-tenant, comma-separated";
    if (name == "*" || std::count(name.begin(), name.end(), '*') > 1)
      return in_quotes(name) +
             " is no usable pattern; one * may stand in a name, for any characters, as in x-tenant-*";
    if (is_never_forwarded_pattern(name))
      return in_quotes(name) +
             " is never forwarded: it is a credential, belongs to one connection, is set by llm-proxy, or "
             "lets a client pass for another one or change how LiteLLM works";
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  out = std::move(names);
  return {};
}

bool is_ip(const std::string& host, int family) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(family, host.c_str(), address.data()) == 1;
}

/// Complaints never show the value of a key.
complaint check_key(const option& o, std::string_view value) {
  if (value.size() < o.least) return "is empty; it takes " + accepted(o);
  if (value.size() > o.most) return "is too long; it takes " + accepted(o);
  if (std::any_of(value.begin(), value.end(), is_control))
    return "contains a control byte (a line break, perhaps), which no header can carry; it takes " +
           accepted(o);
  if (is_blank(value.front()) || is_blank(value.back()))
    return "begins or ends with a blank, which headers lose; it takes " + accepted(o);
  return {};
}

/// Returns whether the text has only characters of a path of RFC 3986, including percent escapes.
bool is_url_path(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%') {
      const auto digits = path.substr(i + 1, 2);
      if (digits.size() != 2 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos)
        return false;
    } else if (!is_alnum(path[i]) && "/-._~!$&'()*+,;=:@"s.find(path[i]) == std::string::npos) {
      return false;
    }
  }
  return true;
}

bool is_url_host(std::string_view host) {
  if (host.starts_with('['))
    return host.ends_with(']') && is_ip(std::string{host.substr(1, host.size() - 2)}, AF_INET6);
  return !host.empty() && host.size() <= 255 && std::all_of(host.begin(), host.end(), [](char c) {
    return is_alnum(c) || c == '-' || c == '.' || c == '_';
  });
}

bool is_upstream_url(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return false;
  const auto scheme = lower(url.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") return false;
  url.remove_prefix(scheme_end + 3);
  const auto path_begin = std::min(url.find('/'), url.size());
  std::string_view host = url.substr(0, path_begin);
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    const auto port = whole_number(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return false;
    host = host.substr(0, colon);
  }
  return is_url_host(host) && is_url_path(url.substr(path_begin));
}

/// Returns whether `value` (of up to 200 bytes) needs no escapes in JSON and in a log line.
bool is_plain_text(std::string_view value) {
  return log_safe(value) == value;
}

complaint read(const option& o, std::string_view value, std::string& out) {
  out = value;
  switch (o.type) {
    case kind::key:
      return check_key(o, value);
    case kind::address:
      out = lower(value);
      if (out != "localhost" && !is_ip(out, AF_INET) && !is_ip(out, AF_INET6)) return not_accepted(o, value);
      return {};
    case kind::url:
      // The value is not shown, because it might contain a password.
      if (value.size() > o.most || !is_upstream_url(value))
        return "is no usable address; it takes " + accepted(o);
      return {};
    case kind::file:
      if (value.size() > o.most || std::any_of(value.begin(), value.end(), is_control))
        return not_accepted(o, value);
      return {};
    default:
      if (value.size() > o.most || !is_plain_text(value)) return not_accepted(o, value);
      return {};
  }
}
}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

std::string upper(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), to_upper);
  return out;
}

complaint assign(const option& o, std::string_view value, settings& values) {
  if (o.type != kind::key) value = trim(value);
  const bool empty_is_fault = o.type == kind::key && o.least > 0;
  if (value.empty() && !empty_is_fault) return {};
  return std::visit(
      [&](auto place) -> complaint {
        auto parsed = values.*place;
        auto wrong = read(o, value, parsed);
        if (!wrong) values.*place = std::move(parsed);
        return wrong;
      },
      o.place);
}

}  // namespace llm_proxy
