#include "http/header_policy.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

// accept-encoding is not here: the adapter decides it.
constexpr std::array<std::string_view, 19> upstream_names{
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
    "x-litellm-timeout",
    "x-litellm-stream-timeout",
    "x-litellm-num-retries",
    "x-litellm-tags",
    "x-litellm-end-user-id",
    "x-litellm-customer-id",
    "x-litellm-spend-logs-metadata",
    "x-litellm-enable-message-redaction",
};

constexpr std::array<std::string_view, 7> client_names{"content-type",   "content-encoding", "retry-after",
                                                       "retry-after-ms", "x-should-retry",   "request-id",
                                                       "server-timing"};
constexpr std::array<std::string_view, 5> client_prefixes{"x-ratelimit-", "anthropic-ratelimit-", "openai-",
                                                          "x-litellm-", "llm_provider-"};
/// LiteLLM's own: what our key spent, where the model runs (litellm.md, "Headers back").
constexpr std::array<std::string_view, 3> withheld{"x-litellm-key-spend", "x-litellm-model-api-base",
                                                   "llm_provider-set-cookie"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view known) { return iequals(known, name); });
}

}  // namespace

bool goes_upstream(std::string_view name, const std::vector<std::string>& extra) {
  return contains(upstream_names, name) || istarts_with(name, "x-stainless-") || contains(extra, name);
}

bool comes_back(std::string_view name) {
  if (contains(withheld, name)) return false;
  return contains(client_names, name) ||
         std::any_of(client_prefixes.begin(), client_prefixes.end(),
                     [name](auto prefix) { return istarts_with(name, prefix); });
}

header_list client_headers(header_list from) {
  from.keep_if(comes_back);
  return from;
}

}  // namespace llm_proxy
