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
constexpr std::string_view and_below = "/*";

// clang-format off
/// Most requests are for the first row. Those from rare_path on are looked at only if no other row has the path.
constexpr std::array routes{
    route{.method = "POST", .path = "/v1/chat/completions", .target = upstream, .body = body_kind::json, .rules = &chat_rules, .group = route_group::chat},

    route{"GET", "/health", endpoint::health},
    route{"GET", "/health/live", endpoint::live},
    route{"GET", "/health/ready", endpoint::ready},
    route{"GET", "/metrics", endpoint::metrics},
    route{"GET", "/v1/models", endpoint::models},
    route{"GET", "/v1/models/", endpoint::model},  // a path that ends in '/': the rest is the id
    route{"GET", "/v1/llm/models", endpoint::llm_models},

    route{.method = "POST", .path = "/chat/completions", .target = upstream, .upstream_path = chat_path, .body = body_kind::json, .rules = &chat_rules, .group = route_group::chat},
    route{.method = "POST", .path = "/v1/llm/chat/completions", .target = upstream, .upstream_path = chat_path, .body = body_kind::json, .rules = &chat_rules, .group = route_group::chat},
    route{.method = "POST", .path = "/v1/completions", .target = upstream, .body = body_kind::json, .rules = &completion_rules, .group = route_group::completions},
    route{.method = "POST", .path = "/v1/embeddings", .target = upstream, .body = body_kind::json, .rules = &embedding_rules, .group = route_group::embeddings},
    route{.method = "POST", .path = "/v1/moderations", .target = upstream, .body = body_kind::json, .rules = &moderation_rules, .group = route_group::moderations},
    route{.method = "POST", .path = "/v1/rerank", .target = upstream, .body = body_kind::json, .rules = &rerank_rules, .group = route_group::rerank},
    route{.method = "POST", .path = "/v1/responses", .target = upstream, .body = body_kind::json, .speaks = dialect::responses, .rules = &response_rules, .group = route_group::responses},
    route{.method = "GET", .path = "/v1/responses", .target = endpoint::websocket, .speaks = dialect::responses, .is_new = true, .group = route_group::responses},
    route{.method = "GET", .path = "/v1/responses/{id}", .target = upstream, .speaks = dialect::responses, .group = route_group::responses},
    route{.method = "DELETE", .path = "/v1/responses/{id}", .target = upstream, .speaks = dialect::responses, .group = route_group::responses},
    route{.method = "GET", .path = "/v1/responses/{id}/input_items", .target = upstream, .speaks = dialect::responses, .is_new = true, .group = route_group::responses},
    route{.method = "POST", .path = "/v1/responses/compact", .target = upstream, .body = body_kind::json, .speaks = dialect::responses, .rules = &response_rules, .group = route_group::responses},
    route{.method = "POST", .path = "/v1/responses/input_tokens", .target = upstream, .body = body_kind::json, .speaks = dialect::responses, .rules = &response_rules, .is_rated = false, .group = route_group::responses},
    route{.method = "POST", .path = "/v1/responses/{id}/cancel", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::responses, .rules = &object_rules, .group = route_group::responses},
    route{.method = "POST", .path = "/v1/messages", .target = upstream, .body = body_kind::json, .speaks = dialect::anthropic, .rules = &anthropic_rules, .group = route_group::messages},
    route{.method = "POST", .path = "/v1/messages/count_tokens", .target = upstream, .body = body_kind::json, .speaks = dialect::anthropic, .rules = &anthropic_rules, .is_rated = false, .group = route_group::messages},
    route{.method = "POST", .path = "/v1/images/generations", .target = upstream, .body = body_kind::json, .speaks = dialect::events, .rules = &image_rules, .group = route_group::images},
    route{.method = "POST", .path = "/v1/images/edits", .target = upstream, .body = body_kind::multipart, .speaks = dialect::events, .group = route_group::images},
    route{.method = "POST", .path = "/v1/audio/transcriptions", .target = upstream, .body = body_kind::multipart, .speaks = dialect::events, .any_media = true, .group = route_group::audio},
    route{.method = "POST", .path = "/v1/audio/translations", .target = upstream, .body = body_kind::multipart, .speaks = dialect::events, .any_media = true, .group = route_group::audio},
    route{.method = "POST", .path = "/v1/audio/speech", .target = upstream, .body = body_kind::json, .speaks = dialect::events, .rules = &speech_rules, .any_media = true, .group = route_group::audio},

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

    // From here on: rare_path.
    route{.method = "POST", .path = "/v1/images/variations", .target = upstream, .body = body_kind::multipart, .speaks = dialect::events, .is_new = true, .group = route_group::images},
    route{.method = "POST", .path = "/v1/search", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::events, .rules = &object_rules, .is_new = true, .group = route_group::search},
    route{.method = "POST", .path = "/v1/search/{id}", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::events, .rules = &object_rules, .is_new = true, .group = route_group::search},
    route{.method = "POST", .path = "/v1/ocr", .target = upstream, .body = body_kind::json, .speaks = dialect::events, .rules = &ocr_rules, .is_new = true, .group = route_group::ocr},
    route{.method = "POST", .path = "/v1/realtime/client_secrets", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .is_new = true, .group = route_group::realtime},
    route{.method = "POST", .path = "/v1/realtime/transcription_sessions", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .is_new = true, .group = route_group::realtime},
    // What follows returns objects that are stored. A body_kind::any may name models where nobody looks for them: in a
    // form, in the lines of a file, deep inside of an object.
    route{.method = "GET, POST, DELETE", .path = "/v1/files/*", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .headers = header_policy::resource, .is_new = true, .is_rated = false, .group = route_group::files},
    route{.method = "GET, POST", .path = "/v1/batches/*", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .headers = header_policy::resource, .is_new = true, .group = route_group::batches},
    route{.method = "GET, POST, DELETE", .path = "/v1/messages/batches/*", .target = upstream, .body = body_kind::any, .speaks = dialect::anthropic, .headers = header_policy::resource, .is_new = true, .group = route_group::batches},
    route{.method = "GET, POST, DELETE", .path = "/v1/vector_stores/*", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::events, .rules = &object_rules, .headers = header_policy::resource, .is_new = true, .is_rated = false, .group = route_group::vector_stores},
    route{.method = "GET, POST, DELETE", .path = "/v1/conversations/*", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::events, .rules = &object_rules, .headers = header_policy::resource, .is_new = true, .is_rated = false, .group = route_group::conversations},
    route{.method = "GET, POST", .path = "/v1/fine_tuning/jobs/*", .target = upstream, .body = body_kind::optional_json, .speaks = dialect::events, .rules = &object_rules, .headers = header_policy::resource, .is_new = true, .group = route_group::fine_tuning},
    route{.method = "GET, POST, DELETE", .path = "/v1/containers/*", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .headers = header_policy::resource, .is_new = true, .is_rated = false, .group = route_group::containers},
    route{.method = "GET, POST, DELETE", .path = "/v1/videos/*", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .headers = header_policy::resource, .is_new = true, .group = route_group::videos},
    route{.method = "GET, POST, DELETE", .path = "/v1/evals/*", .target = upstream, .body = body_kind::any, .speaks = dialect::events, .headers = header_policy::resource, .is_new = true, .group = route_group::evals},
};

constexpr std::string_view rare_path = "/v1/images/variations";

/// The row of all prefixes that the operator passes through.
constexpr route passed_through{.method = "",
                               .path = "",
                               .target = upstream,
                               .body = body_kind::any,
                               .speaks = dialect::opaque,
                               .headers = header_policy::resource};
// clang-format on

/// Whether a request for `path` matches a row of the path `pattern`. A pattern that ends in '/' matches every
/// path below it, and `parameter` is set to what follows. One that ends in "/*" also matches the path before
/// it. An empty pattern matches nothing.
bool matches(std::string_view pattern, std::string_view path, std::string_view& parameter) {
  if (pattern.size() > 1 && pattern.back() == '/') {
    if (path.size() <= pattern.size() || path.substr(0, pattern.size()) != pattern) return false;
    parameter = path.substr(pattern.size());
    return true;
  }
  if (pattern.empty()) return false;
  if (pattern.ends_with(and_below)) {
    const auto base = pattern.substr(0, pattern.size() - and_below.size());
    return lies_below(path, base) && has_plain_segments(path.substr(base.size()));
  }
  constexpr std::string_view id = "{id}";
  const auto at = pattern.find(id);
  if (at == std::string_view::npos) return path == pattern;
  if (path.substr(0, at) != pattern.substr(0, at)) return false;
  const auto segment = first_segment(path.substr(at));
  if (path.substr(at + segment.size()) != pattern.substr(at + id.size())) return false;
  return is_plain_segment(segment);
}

/// Returns false if a path differs from a pattern in the first letter, or the first one below /v1: then it
/// cannot match. This rules most rows out.
bool may_match(std::string_view pattern, std::string_view path) {
  const std::size_t at = pattern.starts_with("/v1/") ? 4 : 1;
  if (pattern.size() <= at || path.size() <= at) return true;
  return pattern[at] == path[at] || pattern[at] == '{' || pattern[at] == '*';
}

/// Which form of the table's paths is looked for.
enum class form : std::uint8_t { whole, without_version };

/// Returns the row's path in that form; empty if it has none.
std::string_view path_of(const route& row, form which) {
  if (which == form::whole) return row.path;
  return row.path.starts_with("/v1/") ? row.path.substr(v1.size()) : std::string_view{};
}

bool is_ui(const route& row) {
  return row.target == endpoint::page || row.target == endpoint::ui_events;
}

/// Takes the first method off a row's list.
std::string_view first_method(std::string_view& methods) {
  const auto comma = std::min(methods.find(','), methods.size());
  const auto first = methods.substr(0, comma);
  methods.remove_prefix(std::min(comma + 2, methods.size()));
  return first;
}

bool takes(const route& row, std::string_view method) {
  if (row.method == method) return true;
  for (auto rest = row.method; !rest.empty();) {
    const auto each = first_method(rest);
    if (each == method || (each == "GET" && method == "HEAD")) return true;
  }
  return false;
}

/// Returns the methods of a row for an Allow header.
std::string allowed_by(const route& row) {
  std::string all;
  for (auto rest = row.method; !rest.empty();) {
    const auto each = first_method(rest);
    if (!all.empty()) all += ", ";
    all += each == "GET" ? "GET, HEAD" : each;
  }
  return all;
}

route_match found(const route& row, std::string_view path, std::string_view parameter, form which) {
  const bool is_own = row.upstream_path.empty();
  return {row.target, parameter.empty() ? std::string{} : percent_decoded(parameter), &row,
          is_own ? path : row.upstream_path,
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
    const auto pattern = path_of(row, which);
    if (!may_match(pattern, path) || !counts(row) || !matches(pattern, path, parameter)) continue;
    if (takes(row, method)) return found(row, path, parameter, which);
    match.target = endpoint::wrong_method;
    if (!match.detail.empty()) match.detail += ", ";
    match.detail += allowed_by(row);
  }
  return match;
}

route_match find_in_table(std::string_view method, std::string_view path, bool ui, form which) {
  constexpr auto is_rare = [](const route& row) { return row.path == rare_path; };
  constexpr auto rare =
      static_cast<std::size_t>(std::find_if(routes.begin(), routes.end(), is_rare) - routes.begin());
  static_assert(rare < routes.size());
  const std::span<const route> table{routes};
  auto match = find_in(table.first(rare), method, path, ui, which);
  if (match.target == endpoint::none) match = find_in(table.subspan(rare), method, path, ui, which);
  return match;
}

}  // namespace

route_match find_route(std::string_view method, std::string_view path,
                       const std::vector<std::string>& passthrough, bool ui, std::span<const route> own) {
  auto match = find_in_table(method, path, ui, form::whole);
  // A path of the table always belongs to the table, whatever the method. A path that needs no key must not
  // get another meaning.
  if (match.target == endpoint::none) match = find_in(own, method, path, ui);
  if (match.target == endpoint::none) match = find_in_table(method, path, ui, form::without_version);
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

bool only_reads_or_deletes(const route& row, std::string_view method) {
  return !row.method.empty() && (method == "GET" || method == "HEAD" || method == "DELETE");
}

bool is_rated(const route& row, std::string_view method) {
  return row.is_rated && !only_reads_or_deletes(row, method);
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
      auto path = path_of(row, which);
      if (path.ends_with(and_below)) path.remove_suffix(and_below.size());
      return path.size() > prefix.size() && lies_below(path, prefix);
    };
    if (std::any_of(table.begin(), table.end(), is_below)) return {};
    std::string_view parameter;
    for (const auto& row : table) {
      if (!matches(path_of(row, which), prefix, parameter)) continue;
      // The prefix works for every key. The row that replaces it does not.
      if (row.is_new && !usual_groups().contains(row.group))
        return {
            "is built in since this version and has no effect any more; take it out, and name its group in "
            "\"routes\" of the keys that use it (docs/operate.md)",
            true};
      if (row.is_new || which == form::without_version)
        return {"is built in since this version and has no effect any more; take it out", true};
      return {"is a path of this service itself: it would have no effect"};
    }
  }
  return {};
}

}  // namespace llm_proxy
