#include "http/wire/header_policy.hpp"

#include "http/wire/field_lists.hpp"
#include "http/wire/never_forwarded.hpp"
#include "http/wire/session_headers.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace llm_proxy {

namespace {

// Names that begin with x- are in a list of their own, so that a name is compared with only half of all.
// accept-encoding is not here: the adapter decides it.
constexpr auto plain_upstream_names = std::to_array<std::string_view>({
    "accept",
    "content-type",
    "user-agent",
    "traceparent",
    "tracestate",
    "openai-organization",
    "openai-project",
    "openai-beta",
    "anthropic-version",
    "anthropic-beta",
    "idempotency-key",
    // Codex's session. LiteLLM reads these from clients whose user-agent is Codex's.
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
});
constexpr auto x_upstream_names = std::to_array<std::string_view>({
    "x-litellm-timeout",
    "x-litellm-stream-timeout",
    "x-litellm-num-retries",
    "x-litellm-tags",
    "x-litellm-end-user-id",
    "x-litellm-customer-id",
    "x-litellm-spend-logs-metadata",
    "x-litellm-enable-message-redaction",
    "x-litellm-trace-id",
    "x-litellm-session-id",
    "x-litellm-agent-id",
    "x-litellm-call-id",
    "x-session-id",
});

/// Conditions (RFC 9110 §13.1) and ranges (§14.2).
constexpr std::array<std::string_view, 6> resource_upstream_names{
    "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"};

/// Headers that belong to one connection, whether its Connection field names them or not (RFC 9110 §7.6.1),
/// or that hold credentials or upstream's address.
constexpr std::array<std::string_view, 10> never_names{
    "connection", "keep-alive", "te",         "trailer",       "transfer-encoding",
    "upgrade",    "cookie",     "set-cookie", "authorization", "location"};
constexpr std::array<std::string_view, 2> never_prefixes{"proxy-", "access-control-"};

/// RFC 9110 §8.8 and §14, RFC 6266, RFC 8288, RFC 9530 and its forerunner RFC 3230. The content-length is
/// written with the framing.
constexpr std::array<std::string_view, 9> resource_client_names{
    "content-range", "accept-ranges", "content-disposition", "etag", "last-modified",
    "digest",        "repr-digest",   "content-digest",      "link"};

constexpr std::array<std::string_view, 7> client_names{"content-type",   "content-encoding", "retry-after",
                                                       "retry-after-ms", "x-should-retry",   "request-id",
                                                       "server-timing"};
/// Codex keeps the value of x-codex-turn-state for its next request.
constexpr std::array<std::string_view, 5> client_prefixes{"x-ratelimit-", "anthropic-ratelimit-", "openai-",
                                                          "x-litellm-", "x-codex-"};
/// LiteLLM puts this before the name of each header that its provider sent.
constexpr std::string_view provider_prefix = "llm_provider-";
/// LiteLLM's headers that no client gets. They show what our key has spent, and where the model runs.
constexpr std::array<std::string_view, 2> withheld{"x-litellm-key-spend", "x-litellm-model-api-base"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view known) { return iequals(known, name); });
}

template <class Prefixes>
bool begins_with_one(const Prefixes& prefixes, std::string_view name) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](std::string_view prefix) { return istarts_with(name, prefix); });
}

bool never_crosses(std::string_view name) {
  return contains(never_names, name) || begins_with_one(never_prefixes, name);
}

/// Whether `text` contains `host`, in any letter case and not as a part of a longer name.
bool names_host(std::string_view text, std::string_view host) {
  const auto is_part_of_name = [](char c) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  for (std::size_t at = 0; at + host.size() <= text.size(); ++at) {
    if (!iequals(text.substr(at, host.size()), host)) continue;
    const auto end = at + host.size();
    const bool begins = at == 0 || !is_part_of_name(text[at - 1]);
    if (begins && (end == text.size() || !is_part_of_name(text[end]))) return true;
  }
  return false;
}

/// Returns the size of the first link of a Link field's value, up to the comma behind it. A comma inside of
/// <> or of quotes does not end it (RFC 8288 §3).
std::size_t first_link_size(std::string_view links) {
  char closing = '\0';
  for (std::size_t at = 0; at < links.size(); ++at) {
    const char c = links[at];
    if (closing == '"' && c == '\\') {
      ++at;
    } else if (closing != '\0') {
      if (c == closing) closing = '\0';
    } else if (c == ',') {
      return at;
    } else if (c == '<' || c == '"') {
      closing = c == '<' ? '>' : '"';
    }
  }
  return links.size();
}

/// Returns those of a Link field's links that do not name `host`.
std::string links_elsewhere(std::string_view links, std::string_view host) {
  std::string kept;
  while (!links.empty()) {
    const auto size = first_link_size(links);
    const auto link = trimmed(links.substr(0, size));
    links.remove_prefix(std::min(size + 1, links.size()));
    if (link.empty() || names_host(link, host)) continue;
    if (!kept.empty()) kept += ", ";
    kept += link;
  }
  return kept;
}

/// Whether this is a Link field that names `host`.
bool links_to(header field, std::string_view host) {
  return iequals(field.name, "link") && names_host(field.value, host);
}

/// Returns the headers `from`, without the links in their Link fields that name `host`.
header_list without_links_to(header_list from, std::string_view host) {
  bool any = false;
  for (const auto field : from) any = any || links_to(field, host);
  if (!any) return from;
  header_list kept;
  for (const auto field : from) {
    if (!links_to(field, host)) {
      kept.add(field.name, field.value);
    } else if (const auto links = links_elsewhere(field.value, host); !links.empty()) {
      kept.add(field.name, links);
    }
  }
  return kept;
}

/// Returns the host without its port, and an IPv6 address without its brackets.
std::string_view host_of(std::string_view upstream) {
  auto host = upstream.substr(0, upstream.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

bool fits_name(std::string_view pattern, std::string_view name) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return iequals(pattern, name);
  const auto end = pattern.substr(star + 1);
  return name.size() >= star + end.size() && iequals(name.substr(0, star), pattern.substr(0, star)) &&
         iequals(name.substr(name.size() - end.size()), end);
}

bool goes_upstream(std::string_view name, const std::vector<std::string>& extra, header_policy policy) {
  if (istarts_with(name, "x-")) {
    if (istarts_with(name, "x-stainless-") || contains(x_upstream_names, name) || is_agent_header(name))
      return true;
  } else if (contains(plain_upstream_names, name)) {
    return true;
  }
  if (policy == header_policy::resource && contains(resource_upstream_names, name)) return true;
  return std::any_of(extra.begin(), extra.end(),
                     [name](const auto& each) { return fits_name(each, name); }) &&
         !never_forwarded(name);
}

std::optional<std::string_view> upstream_value(header field, const std::vector<std::string>& extra,
                                               header_policy policy) {
  if (goes_upstream(field.name, extra, policy)) return field.value;
  if (is_vendor_session(field.name, field.value) && !never_forwarded(field.name)) return field.value;
  if (iequals(field.name, "baggage")) {
    if (const auto session = session_of_baggage(field.value); !session.empty()) return session;
  }
  return std::nullopt;
}

bool comes_back(std::string_view name, header_policy policy) {
  if (contains(withheld, name)) return false;
  if (istarts_with(name, provider_prefix)) return !never_crosses(name.substr(provider_prefix.size()));
  if (policy == header_policy::resource && contains(resource_client_names, name)) return true;
  return contains(client_names, name) || begins_with_one(client_prefixes, name);
}

bool has_connection_options(const header_list& all) {
  return any_list_element(all, "connection", [](std::string_view word) {
    return !word.empty() && !iequals(word, "keep-alive") && !iequals(word, "close");
  });
}

bool is_connection_option(const header_list& all, std::string_view name) {
  return any_list_element(all, "connection", [name](std::string_view word) { return iequals(word, name); });
}

header_list client_headers(header_list from, header_policy policy, std::string_view upstream) {
  if (has_connection_options(from)) {
    // The calls use a copy, because the list itself changes meanwhile.
    from.keep_if([named = from](std::string_view name) { return !is_connection_option(named, name); });
  }
  from.keep_if([policy](std::string_view name) { return comes_back(name, policy); });
  const auto host = host_of(upstream);
  if (policy != header_policy::resource || host.empty()) return from;
  return without_links_to(std::move(from), host);
}

}  // namespace llm_proxy
