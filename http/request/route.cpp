#include "http/request/route.hpp"

#include "http/request/path_rules.hpp"
#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace llm_proxy {

namespace {

constexpr auto upstream = endpoint::upstream;
constexpr std::string_view v1 = "/v1";
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
    route{.method = "GET", .path = "/v1/responses", .target = endpoint::websocket, .speaks = dialect::responses, .is_new = true},
    route{"GET", "/v1/responses/{id}", upstream, {}, body_kind::none, dialect::responses},
    route{"DELETE", "/v1/responses/{id}", upstream, {}, body_kind::none, dialect::responses},
    route{.method = "GET", .path = "/v1/responses/{id}/input_items", .target = upstream, .speaks = dialect::responses, .is_new = true, .is_rated = false},
    route{.method = "POST", .path = "/v1/responses/compact", .target = upstream, .body = body_kind::json, .speaks = dialect::responses, .rules = &response_rules},
    route{.method = "POST", .path = "/v1/responses/input_tokens", .target = upstream, .body = body_kind::json, .speaks = dialect::responses, .rules = &response_rules, .is_rated = false},
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
// clang-format on

/// Whether a request for `path` matches a row of the path `pattern`. A pattern that ends in '/' matches every
/// path below it, and `parameter` is set to what follows. An empty pattern matches nothing.
bool matches(std::string_view pattern, std::string_view path, std::string_view& parameter) {
  if (pattern.size() > 1 && pattern.back() == '/') {
    if (path.size() <= pattern.size() || path.substr(0, pattern.size()) != pattern) return false;
    parameter = path.substr(pattern.size());
    return true;
  }
  if (pattern.empty()) return false;
  constexpr std::string_view id = "{id}";
  const auto at = pattern.find(id);
  if (at == std::string_view::npos) return path == pattern;
  if (path.substr(0, at) != pattern.substr(0, at)) return false;
  const auto segment = first_segment(path.substr(at));
  if (path.substr(at + segment.size()) != pattern.substr(at + id.size())) return false;
  return is_plain_segment(segment);
}

/// Which form of the table's paths is looked for.
enum class form : std::uint8_t { whole, without_version };

/// Returns the row's path in that form; empty if it has none.
std::string_view path_of(const route& row, form which) {
  if (which == form::whole) return row.path;
  return lies_below(row.path, v1) ? row.path.substr(v1.size()) : std::string_view{};
}

bool is_ui(const route& row) {
  return row.target == endpoint::page || row.target == endpoint::ui_events;
}

bool takes(const route& row, std::string_view method) {
  return row.method == method || (row.method == "GET" && method == "HEAD");
}

route_match found(const route& row, std::string_view path, std::string_view parameter, form which) {
  const bool is_own = row.upstream_path.empty();
  return {row.target, percent_decoded(parameter), &row, is_own ? path : row.upstream_path,
          is_own && which == form::without_version ? v1 : std::string_view{}};
}

route_match find_in(std::span<const route> table, std::string_view method, std::string_view path, bool ui,
                    form which = form::whole) {
  const auto counts = [ui](const route& row) { return ui || !is_ui(row); };
  // Most paths are equal to a row's path, and a comparison of sizes rules out most other rows.
  for (const auto& row : table) {
    const auto pattern = path_of(row, which);
    if (pattern != path || !counts(row) || !takes(row, method)) continue;
    if (std::string_view parameter; matches(pattern, path, parameter))
      return found(row, path, parameter, which);
  }
  route_match match;
  for (const auto& row : table) {
    std::string_view parameter;
    if (!counts(row) || !matches(path_of(row, which), path, parameter)) continue;
    if (takes(row, method)) return found(row, path, parameter, which);
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
  if (match.target == endpoint::none) match = find_in(routes, method, path, ui, form::without_version);
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
  while (lies_below(path, v1)) path.remove_prefix(v1.size());
  return lies_below(path, "/messages");
}

std::string_view explain_not_found(std::string_view path) {
  if (!path.starts_with("/v1/v1/")) return {};
  return "There is no such path: it begins with /v1/v1. The client adds /v1 itself, so its base URL must not "
         "end in /v1.";
}

passthrough_verdict judge_passthrough(std::string_view prefix, std::span<const route> table) {
  if (prefix.size() < 2 || prefix.front() != '/') return {"must begin with a slash and name something"};
  if (prefix.back() == '/') return {"must not end with a slash"};
  if (!has_plain_segments(prefix) || prefix.find_first_of("%?#\\ ") != std::string_view::npos)
    return {"must be plain path segments"};
  if (is_management(prefix)) return {"is LiteLLM's management, which is never passed through"};
  for (const auto which : {form::whole, form::without_version}) {
    const auto is_below = [&](const route& row) {
      const auto path = path_of(row, which);
      return path.size() > prefix.size() && lies_below(path, prefix);
    };
    if (std::any_of(table.begin(), table.end(), is_below)) return {};
    std::string_view parameter;
    for (const auto& row : table) {
      if (!matches(path_of(row, which), prefix, parameter)) continue;
      if (row.is_new || which == form::without_version)
        return {"is built in since this version and has no effect any more; take it out", true};
      return {"is a path of this service itself: it would have no effect"};
    }
  }
  return {};
}

}  // namespace llm_proxy
