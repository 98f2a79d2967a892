// The table of all routes: it maps a method and a path to an endpoint, and says what an upstream endpoint
// accepts and returns.
#pragma once

#include "http/dialect/dialect.hpp"
#include "http/keys/keys.hpp"
#include "http/keys/route_groups.hpp"
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
  page,          ///< a page or its asset, contained in the binary
  ui_events,     ///< GET /ui/events, the data of the dashboard
  websocket,     ///< GET /v1/responses, as a WebSocket
  own,           ///< answered by its row's function
  upstream,      ///< passed on, as its row says
};

/// The body that a request to upstream may have.
enum class body_kind : std::uint8_t {
  none,           ///< no body; one that arrives is not passed on
  json,           ///< a JSON object, checked by the row's rules
  optional_json,  ///< the same, or no body
  multipart,      ///< multipart/form-data, passed on as it arrives
  any,            ///< any body, passed on as it arrives
};

/// The answer of a row's own function. The function runs on the I/O thread of its request, so it must not
/// wait for anything.
struct own_answer {
  response_head head;
  std::string body;
};
using answer_function = own_answer (*)(const request_head& request, const key_rules& who);

/// A row of the table. `{id}` in a path is one segment. A path that ends in `/*` is the path before it and
/// everything below that, if all segments are plain (path_rules.hpp).
struct route {
  std::string_view method;  // or several, as in an Allow header; GET includes HEAD; empty: every method
  std::string_view path;
  endpoint target = endpoint::none;
  std::string_view upstream_path = {};  // empty: the request's own path
  body_kind body = body_kind::none;
  dialect speaks = dialect::chat;
  const body_rules* rules = nullptr;
  bool any_media = false;            // a 2xx need not be JSON: audio, text
  answer_function answer = nullptr;  // for endpoint::own
  header_policy headers = header_policy::model_call;
  bool is_new = false;   // in this version: an operator's prefix that it replaces causes only a warning
  bool is_rated = true;  // false: not even a POST asks a model for anything; see is_rated()
  route_group group = route_group::none;
};

/// Whether a request only reads or deletes, which asks no model: a GET, HEAD or DELETE. Nobody knows that of
/// a path which the operator passes through.
bool only_reads_or_deletes(const route& row, std::string_view method);

/// Whether a request counts towards its key's requests and tokens per minute.
bool is_rated(const route& row, std::string_view method);

struct route_match {
  endpoint target = endpoint::none;
  /// For wrong_method: the Allow header (RFC 9110 §10.2.1). For model: the id, percent-decoded.
  std::string detail;
  const route* row = nullptr;     ///< for upstream
  std::string_view path = {};     ///< for upstream: the path to ask for, the row's or the request's own
  std::string_view version = {};  ///< for upstream: comes before `path`, if the request's path lacks it
};

/// Finds the endpoint of a request. `path` has no query and must outlive the match. Rows below /v1 are also
/// found without it, as LiteLLM's are: a client whose base URL lacks /v1 sends such paths. `passthrough`: the
/// prefixes that the operator added (`/v1/files` covers itself and every path below it). `ui`: whether the
/// pages are served. `own`: more rows, for paths that the table does not have (docs/extend.md).
route_match find_route(std::string_view method, std::string_view path,
                       const std::vector<std::string>& passthrough = {}, bool ui = true,
                       std::span<const route> own = {});

/// Which kinds of paths need no key. Those of health never need one.
struct public_paths {
  bool pages = true;
  bool metrics = false;
};
inline constexpr public_paths admin_paths{false, true};
inline constexpr public_paths health_paths{false, false};

/// Whether a path is answered without a key.
bool is_public_path(std::string_view path, public_paths which = {});

/// Returns the rows of the built-in table, without the operator's prefixes.
std::span<const route> all_routes();

/// Whether a client of this path expects errors in Anthropic's shape. The path need not exist.
bool speaks_anthropic(std::string_view path);

/// Returns why there may be no such path, as a sentence for the client; empty if nothing is known.
std::string_view explain_not_found(std::string_view path);

/// Whether a prefix that an operator wants to pass through is accepted.
struct passthrough_verdict {
  std::string_view reason;  ///< follows the prefix in a message; empty if the prefix is accepted
  bool is_warning = false;  ///< it had an effect before this version, and is not an error yet
};
/// Judges a prefix. LiteLLM's own management (keys, users, models, configuration …) is never reachable,
/// whatever the prefix. A prefix that is itself a path of `table` would change nothing, so it is refused
/// unless other paths of the table lie below it.
passthrough_verdict judge_passthrough(std::string_view prefix, std::span<const route> table = all_routes());

}  // namespace llm_proxy
