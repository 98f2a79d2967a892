// The checks of a request before an upstream is asked. They are pure functions. The session calls them in
// this order, and refuses the request with the first failure.
#pragma once

#include "http/keys/keys.hpp"
#include "http/request/request_gate.hpp"
#include "http/request/route.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace llm_proxy {

/// Protects a service that accepts the default key, which everybody knows: requests that are addressed to
/// another host than this machine, or come from pages of other sites, fail with host_not_allowed. This is
/// checked before the key, so that a page cannot find out whether it guessed the key. `local_host` is the
/// value of HOST, or nullopt if the default key is not accepted. Health endpoints are exempt, because they
/// reveal nothing worth hiding and probes may use any host name.
std::optional<failure> check_host(const request_head& head, const std::optional<std::string>& local_host);

/// Checks that the key may use the routes of `group`. INTERNAL_API_KEY, whose requests have `is_operator`,
/// may use all of them. Fails with route_not_allowed.
std::optional<failure> check_group(const key_rules& key, bool is_operator, route_group group);

/// Checks the head against what its route accepts. Fails with expectation_failed, unsupported_encoding,
/// unsupported_media_type, bad_request (a form without a boundary) or body_too_large. `most` is the largest
/// size of a body in bytes.
std::optional<failure> check_head(const request_head& head, body_kind body, std::size_t most);

/// The time that a request may take. A client can only shorten it.
struct time_limit {
  std::chrono::milliseconds allowed{0};  ///< for the whole request
  bool is_shortened = false;             ///< by the client, below REQUEST_TIMEOUT
};
/// Reads `x-request-timeout-ms`. Returns nullopt if the client did not send it. `ours` is REQUEST_TIMEOUT, 0
/// = off. Fails with bad_request unless the header is one whole number of milliseconds, from 1 ms to 30 days.
std::variant<std::optional<time_limit>, failure> read_time_limit(const request_head& head,
                                                                 std::chrono::milliseconds ours);

/// Refuses a request whose body is passed on unread if the key has a list of models, because nobody would
/// check the model that the body names. A GET or DELETE of the table asks no model, unless its query names
/// one. Fails with model_not_allowed.
std::optional<failure> check_form(const key_rules& key, const route& row, const request_head& head);

/// Refuses a request that names models anywhere else than in the body's `model`, if the key has a list of
/// models: in the query, or in `member`, a member of the body that can name models (empty if the body has
/// none). Fails with model_not_allowed.
std::optional<failure> check_model_beside(const key_rules& key, std::string_view target,
                                          std::string_view member);

/// Checks that the key may use the model, under the name that the client `asked` for or under the id that it
/// `resolved` to. Fails with model_not_allowed.
std::optional<failure> check_model(const key_rules& key, std::string_view asked, std::string_view resolved);

/// How to handle a JSON body that passed the checks.
struct body_plan {
  std::string model = {};    ///< the model that the body names; empty if it names none or the empty name
  byte_range model_at = {};  ///< where the body names it; empty if it names none
  bool stream = false;       ///< the client wants an event stream
  bool adds_usage = false;   ///< the body was changed to ask for the usage of a streamed chat
};
struct refused_body {
  failure reason;
  std::string detail = {};  ///< for a 422: FastAPI's list of the fields at fault, as JSON text
  bool stream = false;      ///< the client wanted an event stream
};
/// Checks a complete JSON body by the rules of its route and of the key. `check` has read the body while it
/// arrived, and is null if nothing has. With `wants_usage`, `body` is changed so that a streamed chat asks
/// for its usage, if the client did not ask for it.
std::variant<body_plan, refused_body> plan_body(const route& row, const key_rules& key,
                                                std::string_view target, std::unique_ptr<request_check> check,
                                                bool wants_usage, std::string& body);

}  // namespace llm_proxy
