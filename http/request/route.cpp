#include "http/request/route.hpp"

#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace llm_proxy {

namespace {

constexpr auto upstream = endpoint::upstream;
constexpr std::string_view chat_path = "/v1/chat/completions";

// clang-format off
constexpr std::array routes{
    route{"GET", "/health", endpoint::health},
    route{"GET", "/health/live", endpoint::live},
    route{"GET", "/health/ready", endpoint::ready},
    route{"GET", "/metrics", endpoint::metrics},
    route{"GET", "/v1/models", endpoint::models},
    route{"GET", "/v1/models/", endpoint::model},  // a path that ends in '/': the rest is the id
    route{"GET", "/v1/llm/models", endpoint::llm_models},

    route{"POST", "/v1/chat/completions", upstream, {}, body_kind::json, dialect::chat, &chat_rules},
    route{"POST", "/chat/completions", upstream, chat_path, body_kind::json, dialect::chat, &chat_rules},
    route{"POST", "/v1/llm/chat/completions", upstream, chat_path, body_kind::json, dialect::chat, &chat_rules},
    route{"POST", "/v1/completions", upstream, {}, body_kind::json, dialect::chat, &completion_rules},
    route{"POST", "/v1/embeddings", upstream, {}, body_kind::json, dialect::chat, &embedding_rules},
    route{"POST", "/v1/moderations", upstream, {}, body_kind::json, dialect::chat, &moderation_rules},
    route{"POST", "/v1/rerank", upstream, {}, body_kind::json, dialect::chat, &rerank_rules},
    route{"POST", "/v1/responses", upstream, {}, body_kind::json, dialect::responses, &response_rules},
    route{"GET", "/v1/responses/{id}", upstream, {}, body_kind::none, dialect::responses},
    route{"DELETE", "/v1/responses/{id}", upstream, {}, body_kind::none, dialect::responses},
    route{"POST", "/v1/responses/{id}/cancel", upstream, {}, body_kind::optional_json, dialect::responses, &object_rules},
    route{"POST", "/v1/messages", upstream, {}, body_kind::json, dialect::anthropic, &anthropic_rules},
    route{.method = "POST", .path = "/v1/messages/count_tokens", .target = upstream, .body = body_kind::json, .speaks = dialect::anthropic, .rules = &anthropic_rules, .is_rated = false},
    route{"POST", "/v1/images/generations", upstream, {}, body_kind::json, dialect::events, &image_rules},
    route{"POST", "/v1/images/edits", upstream, {}, body_kind::multipart, dialect::events},
    route{"POST", "/v1/audio/transcriptions", upstream, {}, body_kind::multipart, dialect::events, nullptr, true},
    route{"POST", "/v1/audio/translations", upstream, {}, body_kind::multipart, dialect::events, nullptr, true},
    route{"POST", "/v1/audio/speech", upstream, {}, body_kind::json, dialect::events, &speech_rules, true},

    route{"GET", "/", endpoint::page},
    route{"GET", "/ui", endpoint::page},
    route{"GET", "/ui/app.js", endpoint::page},
    route{"GET", "/ui/app.css", endpoint::page},
    route{"GET", "/ui/events", endpoint::ui_events},
    route{"GET", "/docs", endpoint::page},
    route{"GET", "/docs/docs.js", endpoint::page},
    route{"GET", "/docs/docs.css", endpoint::page},
    route{"GET", "/docs/swagger-ui.js", endpoint::page},
    route{"GET", "/docs/swagger-ui.css", endpoint::page},
    route{"GET", "/redoc", endpoint::page},
    route{"GET", "/openapi.json", endpoint::page},
    route{"GET", "/favicon.ico", endpoint::page},
};

/// The row of all prefixes that the operator passes through.
constexpr route passed_through{.method = "",
                               .path = "",
                               .target = upstream,
                               .body = body_kind::any,
                               .speaks = dialect::opaque,
                               .any_media = true,
                               .headers = header_policy::resource};

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

std::string_view first_segment(std::string_view path) {
  return path.substr(0, path.find('/'));
}

/// Whether an upstream, or a proxy before it, must read the same path from this segment as we do.
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

/// Whether a request for `path` matches the row. A row whose path ends in '/' matches every path below it,
/// and `parameter` is set to what follows.
bool matches(const route& row, std::string_view path, std::string_view& parameter) {
  if (row.path.size() > 1 && row.path.back() == '/') {
    if (path.size() <= row.path.size() || path.substr(0, row.path.size()) != row.path) return false;
    parameter = path.substr(row.path.size());
    return true;
  }
  constexpr std::string_view id = "{id}";
  const auto at = row.path.find(id);
  if (at == std::string_view::npos) return path == row.path;
  if (path.substr(0, at) != row.path.substr(0, at)) return false;
  const auto segment = first_segment(path.substr(at));
  if (path.substr(at + segment.size()) != row.path.substr(at + id.size())) return false;
  return is_plain_segment(segment);
}

bool is_ui(const route& row) {
  return row.target == endpoint::page || row.target == endpoint::ui_events;
}

bool takes(const route& row, std::string_view method) {
  return row.method == method || (row.method == "GET" && method == "HEAD");
}

route_match found(const route& row, std::string_view path, std::string_view parameter) {
  return {row.target, percent_decoded(parameter), &row, row.upstream_path.empty() ? path : row.upstream_path};
}

route_match find_in(std::span<const route> table, std::string_view method, std::string_view path, bool ui) {
  const auto counts = [ui](const route& row) { return ui || !is_ui(row); };
  // Most paths are equal to a row's path, and a comparison of sizes rules out most other rows.
  for (const auto& row : table) {
    if (row.path != path || !counts(row) || !takes(row, method)) continue;
    if (std::string_view parameter; matches(row, path, parameter)) return found(row, path, parameter);
  }
  route_match match;
  for (const auto& row : table) {
    std::string_view parameter;
    if (!counts(row) || !matches(row, path, parameter)) continue;
    if (takes(row, method)) return found(row, path, parameter);
    match.target = endpoint::wrong_method;
    if (!match.detail.empty()) match.detail += ", ";
    match.detail += row.method == "GET" ? "GET, HEAD" : row.method;
  }
  return match;
}

}  // namespace

route_match find_route(std::string_view method, std::string_view path,
                       const std::vector<std::string>& passthrough, bool ui, std::span<const route> own) {
  auto match = find_in(routes, method, path, ui);
  // A path of the table always belongs to the table, whatever the method. A path that needs no key must not
  // get another meaning.
  if (match.target == endpoint::none) match = find_in(own, method, path, ui);
  if (match.target != endpoint::none) return match;
  constexpr std::array<std::string_view, 7> methods{"GET",   "HEAD",   "POST",   "PUT",
                                                    "PATCH", "DELETE", "OPTIONS"};
  for (const auto& prefix : passthrough) {
    if (std::find(methods.begin(), methods.end(), method) == methods.end()) break;
    if (!lies_below(path, prefix) || !has_plain_segments(path) || is_management(path)) continue;
    return {upstream, {}, &passed_through, path};
  }
  return match;
}

bool is_public_path(std::string_view path, public_paths which) {
  if (path == "/health" || path == "/health/live" || path == "/health/ready") return true;
  if (path == "/metrics") return which.metrics;
  return which.pages && std::any_of(routes.begin(), routes.end(), [&](const auto& row) {
           return row.target == endpoint::page && row.path == path;
         });
}

std::span<const route> all_routes() {
  return routes;
}

bool speaks_anthropic(std::string_view path) {
  return lies_below(path, "/v1/messages");
}

passthrough_verdict judge_passthrough(std::string_view prefix, std::span<const route> table) {
  if (prefix.size() < 2 || prefix.front() != '/') return {"must begin with a slash and name something"};
  if (prefix.back() == '/') return {"must not end with a slash"};
  if (!has_plain_segments(prefix) || prefix.find_first_of("%?#\\ ") != std::string_view::npos)
    return {"must be plain path segments"};
  if (is_management(prefix)) return {"is LiteLLM's management, which is never passed through"};
  const auto is_below = [prefix](const route& row) {
    return row.path.size() > prefix.size() && lies_below(row.path, prefix);
  };
  if (std::any_of(table.begin(), table.end(), is_below)) return {};
  std::string_view parameter;
  for (const auto& row : table) {
    if (!matches(row, prefix, parameter)) continue;
    if (row.is_new) return {"is built in since this version and has no effect any more; take it out", true};
    return {"is a path of this service itself: it would have no effect"};
  }
  return {};
}

}  // namespace llm_proxy
