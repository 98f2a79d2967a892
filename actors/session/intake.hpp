// What may be asked: the checks of a request before an upstream is asked, one after the other. Pure
// functions; the session calls them in this order, and refuses the request with the first failure.
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

/// While the default key lets clients in, requests for other hosts than this machine and those of other
/// sites' pages are refused (host_not_allowed), before the key is looked at: a page that has guessed the key
/// is to learn nothing. `local_host`: the value of HOST; nullopt: the default key does not count. Health is
/// exempt, because it says nothing worth hiding and probes name a service as they like.
std::optional<failure> check_host(const request_head& head, const std::optional<std::string>& local_host);

/// Checks the head against what its route takes: expectation_failed, unsupported_encoding,
/// unsupported_media_type, bad_request (a form without a boundary) or body_too_large. `most`: bytes of a
/// body.
std::optional<failure> check_head(const request_head& head, body_kind body, std::size_t most);

/// A client may shorten its request's time, never lengthen it.
struct time_limit {
  std::chrono::milliseconds allowed{0};  ///< for the whole request
  bool is_shortened = false;             ///< by the client, below REQUEST_TIMEOUT
};
/// Reads `x-request-timeout-ms`. nullopt: the client sent none. `ours`: REQUEST_TIMEOUT, 0 = off. Fails with
/// bad_request unless it is one whole number from 1 to 30 days.
std::variant<std::optional<time_limit>, failure> read_time_limit(const request_head& head,
                                                                 std::chrono::milliseconds ours);

/// A key with a list of models cannot send a body that passes unread: nobody checks the model in it
/// (model_not_allowed).
std::optional<failure> check_form(const key_rules& key, body_kind body);

/// A key with a list of models cannot name another model beside the body's `model`: in the query, or in a
/// `member` of the body that brings models (empty if there is none). Fails with model_not_allowed.
std::optional<failure> check_model_beside(const key_rules& key, std::string_view target,
                                          std::string_view member);

/// Whether the key may use the model: under the name `asked` for, or under the id that it `resolved` to.
/// Fails with model_not_allowed.
std::optional<failure> check_model(const key_rules& key, std::string_view asked, std::string_view resolved);

/// What becomes of a JSON body that passed.
struct body_plan {
  std::string model = {};    ///< that it names; empty: none, or the empty one
  byte_range model_at = {};  ///< where it does; empty: it names none
  bool stream = false;       ///< the client wants an event stream
  bool adds_usage = false;   ///< the body was changed to ask for the usage of a streamed chat
};
struct refused_body {
  failure reason;
  std::string detail = {};  ///< of a 422: FastAPI's list of the fields at fault, as JSON text
  bool stream = false;      ///< the client wanted an event stream
};
/// Judges a whole JSON body by its route's rules, and the key's. `check`: what has read the body as it came;
/// null: nothing has. `wants_usage`: a streamed chat is to ask for its usage, even if the client did not;
/// `body` is changed where it does not ask.
std::variant<body_plan, refused_body> plan_body(const route& row, const key_rules& key,
                                                std::string_view target, std::unique_ptr<request_check> check,
                                                bool wants_usage, std::string& body);

}  // namespace llm_proxy
