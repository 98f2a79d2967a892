#include "http/wire/never_forwarded.hpp"

#include "http/wire/message.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

constexpr auto names = std::to_array<std::string_view>({
    // Credentials.
    "authorization",
    "x-internal-auth",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-litellm-api-key",
    "x-litellm-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "ocp-apim-subscription-key",
    "litellm_user_api_key",
    "x-mcp-auth",
    "x-drain-token",
    "cookie",
    "set-cookie",
    "www-authenticate",
    // They belong to one connection, or llm-proxy writes them itself.
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-encoding",
    "expect",
    "http2-settings",
    "accept-encoding",
    "x-request-id",
    "location",
    // They say who asks, for which model, and from which address.
    "x-litellm-model",
    "x-litellm-team-id",
    "x-forwarded-for",
    "forwarded",
    // They switch off what LiteLLM's operator relies on.
    "x-litellm-disable-callbacks",
    "litellm-disable-message-redaction",
    "x-litellm-keepalive-seconds",
});

constexpr auto prefixes = std::to_array<std::string_view>(
    {"proxy-", "access-control-", "x-litellm-user-", "x-litellm-cli-", "x-litellm-mcp-"});

/// `x-mcp-<server>-authorization`: a credential for one of LiteLLM's MCP servers.
bool is_mcp_credential(std::string_view name) {
  constexpr std::string_view end = "-authorization";
  return istarts_with(name, "x-mcp-") && name.size() > end.size() &&
         iequals(name.substr(name.size() - end.size()), end);
}

}  // namespace

bool never_forwarded(std::string_view name) {
  return is_mcp_credential(name) ||
         std::any_of(names.begin(), names.end(), [name](auto known) { return iequals(known, name); }) ||
         std::any_of(prefixes.begin(), prefixes.end(),
                     [name](auto prefix) { return istarts_with(name, prefix); });
}

}  // namespace llm_proxy
