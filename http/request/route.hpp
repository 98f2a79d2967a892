// The one table of what is served: method and path to endpoint, and what an upstream endpoint takes and says.
#pragma once

#include "http/dialect/dialect.hpp"
#include "http/keys/keys.hpp"
#include "http/request/body_rules.hpp"
#include "http/wire/header_policy.hpp"
#include "http/wire/message.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

enum class endpoint : std::uint8_t {
  none,          ///< no such path
  wrong_method,  ///< the path exists, the method does not
  health,        ///< GET /health
  live,          ///< GET /health/live
  ready,         ///< GET /health/ready
  metrics,       ///< GET /metrics
  models,        ///< GET /v1/models
  model,         ///< GET /v1/models/{id}
  llm_models,    ///< GET /v1/llm/models, the original service's list
  page,          ///< a page or its asset, carried by the binary
  ui_events,     ///< GET /ui/events, what the dashboard shows
  own,           ///< answered by its row's function
  upstream,      ///< passed on, as its row says
};

/// The body that a request to upstream brings.
enum class body_kind : std::uint8_t {
  none,           ///< nothing; what comes is not passed on
  json,           ///< a JSON object, checked by the row's rules
  optional_json,  ///< the same, or nothing
  multipart,      ///< multipart/form-data, passed on as it comes
  any,            ///< whatever it is, passed on as it comes
};

/// What a row answers by itself. Runs on the I/O thread of its request: it must not wait for anything.
struct own_answer {
  response_head head;
  std::string body;
};
using answer_function = own_answer (*)(const request_head& request, const key_rules& who);

/// A row of the table. `{id}` in a path is one segment.
struct route {
  std::string_view method;  // GET stands for HEAD too; empty: every method
  std::string_view path;
  endpoint target = endpoint::none;
  std::string_view upstream_path = {};  // empty: the path as it came
  body_kind body = body_kind::none;
  dialect speaks = dialect::chat;
  const body_rules* rules = nullptr;
  bool any_media = false;            // a 2xx need not be JSON: audio, text
  answer_function answer = nullptr;  // for endpoint::own
  header_policy headers = header_policy::model_call;
  bool is_new = false;  // since this version: a prefix of the operator's that it takes over is warned about
  /// False if it asks no model for anything: then it takes nothing of its key's requests and tokens per
  /// minute.
  bool is_rated = true;
};

struct route_match {
  endpoint target = endpoint::none;
  /// For wrong_method: the Allow header (RFC 9110 §10.2.1). For model: the id, percent-decoded.
  std::string detail;
  const route* row = nullptr;  ///< for upstream
  std::string_view path = {};  ///< for upstream: the path to ask for, the row's or the request's own
};

/// Finds the endpoint of a request. `path` has no query and outlives the match. `passthrough`: prefixes the
/// operator added (`/v1/files` stands for itself and what lies below it). `ui` false: there are no pages.
/// `own`: rows for paths that the table has not (docs/extend.md).
route_match find_route(std::string_view method, std::string_view path,
                       const std::vector<std::string>& passthrough = {}, bool ui = true,
                       std::span<const route> own = {});

/// What else than health is answered without a key.
struct public_paths {
  bool pages = true;
  bool metrics = false;
};
inline constexpr public_paths admin_paths{false, true};
inline constexpr public_paths health_paths{false, false};

/// True for paths that are answered without a key.
bool is_public_path(std::string_view path, public_paths which = {});

/// Every path of the table that is ours: not the operator's prefixes.
std::span<const route> all_routes();

/// The error shapes that a client of this path expects, whether it exists or not.
bool speaks_anthropic(std::string_view path);

/// What is to be said of a prefix that an operator wants passed through.
struct passthrough_verdict {
  std::string_view reason;  ///< to be put behind it; empty: nothing, it is passed through
  bool is_warning = false;  ///< it had an effect until this version, and is no fault yet
};
/// LiteLLM's own management (keys, users, models, configuration …) is never reachable, whatever the prefix. A
/// prefix that is a path of `table` would change nothing, unless it is the parent of others.
passthrough_verdict judge_passthrough(std::string_view prefix, std::span<const route> table = all_routes());

}  // namespace llm_proxy
