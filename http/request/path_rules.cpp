#include "http/request/path_rules.hpp"

#include "http/text/text.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

// clang-format off
/// First path segments (after a version) of LiteLLM's own management and of pages that show its internals:
/// the routes of LiteLLM 1.103.2 without those that ask models.
constexpr std::array<std::string_view, 78> management{
    "_next", "access_group", "active", "add", "agents", "alerting", "apply_guardrail", "audit", "authorize", "budget",
    "cache", "callback", "callbacks", "claude-code", "cloudzero", "compliance", "config", "config_overrides", "cost",
    "credentials", "customer", "debug", "delete", "docs", "email", "end_user", "fallback", "gateway", "get", "global",
    "guardrails", "health", "introspect", "invitation", "jwt", "key", "litellm", "login", "logout", "management",
    "mcp", "mcp-rest", "memory-usage-in-mem-cache", "metrics", "model", "model_group", "model_hub", "onboarding",
    "openapi.json", "organization", "otel-spans", "policies", "policy", "project", "prompts", "provider", "public",
    "redoc", "register", "reload", "revoke", "router", "routes", "schedule", "scim", "settings", "spend", "sso", "tag",
    "team", "test", "token", "tool", "ui", "unified_access_group", "update", "user", "utils"};
// clang-format on

}  // namespace

std::string_view first_segment(std::string_view path) {
  return path.substr(0, path.find('/'));
}

bool is_plain_segment(std::string_view segment) {
  const auto decoded = percent_decoded(segment);
  if (decoded.empty() || decoded == "." || decoded == "..") return false;
  // The segment is decoded twice, because a second proxy might do so.
  const auto again = percent_decoded(decoded);
  return std::none_of(again.begin(), again.end(),
                      [](char c) {
                        return c == '/' || c == '\\' || c == ';' || static_cast<unsigned char>(c) < ' ';
                      }) &&
         again != "." && again != "..";
}

bool has_plain_segments(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // its slash
    const auto segment = first_segment(path);
    if (!is_plain_segment(segment)) return false;
    path.remove_prefix(segment.size());
  }
  return true;
}

bool is_management(std::string_view path) {
  auto segment = percent_decoded(first_segment(path.substr(1)));
  const bool version = segment.size() >= 2 && (segment[0] == 'v' || segment[0] == 'V') && segment[1] >= '0' &&
                       segment[1] <= '9';
  if (version) {
    const auto rest = path.substr(1).find('/');
    if (rest == std::string_view::npos) return false;
    segment = percent_decoded(first_segment(path.substr(rest + 2)));
  }
  return std::any_of(management.begin(), management.end(), [&](auto name) { return iequals(name, segment); });
}

bool lies_below(std::string_view path, std::string_view prefix) {
  return path.substr(0, prefix.size()) == prefix &&
         (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace llm_proxy
