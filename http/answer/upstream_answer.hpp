// Decides what to do with an upstream's answer: first from its head, then from its body if that was held
// back.
#pragma once

#include "http/answer/litellm_error.hpp"
#include "http/dialect/dialect.hpp"
#include "http/dialect/token_usage.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

enum class answer_plan : std::uint8_t {
  stream,  ///< an event stream: pass it on as it arrives, and judge it by its events
  pass,    ///< audio, text …: pass it on as it arrives, and judge it by its framing
  hold,    ///< hold the body until it is complete, then judge_held()
  refuse,  ///< useless whatever its body says (a redirect)
};

/// How an endpoint's answers are to be read.
struct answer_terms {
  dialect speaks = dialect::chat;
  error_wording wording = error_wording::normalized;
  bool any_media = false;      ///< whether a success may be something other than JSON
  bool may_stream = false;     ///< the client asked for an event stream, or gets one if upstream says so
  bool may_be_empty = false;   ///< a 204 is a success, as the answer to DELETE is
  bool as_it_comes = false;    ///< a success is passed on unread, and ends where its framing says
  bool has_condition = false;  ///< the client asked for a 304 where it applies (RFC 9110 §13)
};

answer_plan plan_answer(const response_head& head, const answer_terms& terms);

/// The outcome of a held answer.
struct held_verdict {
  unsigned status = 0;              ///< for the client
  errc code = errc::none;           ///< none for a success; else what the log says
  std::optional<std::string> body;  ///< if set, the client gets this instead of upstream's body
  error_advice advice;              ///< of an error
  std::string detail;               ///< for the log
  std::optional<token_usage> usage;
  std::string model = {};  ///< the model that answered, if the answer says so
};

/// Judges a complete answer (docs/api.md, "Errors"): a 401 means that our key is wrong, a 408 is a timeout of
/// upstream's, a 5xx other than 503, 504 and 529 becomes a 502, and an error inside a 200 is an error.
held_verdict judge_held(const response_head& head, std::string_view body, const answer_terms& terms);

/// Returns what a client is told when an answer cannot be used or did not reach its end. `streaming`: an
/// event stream was being passed on; then it only matters that it ended too early, whatever the reason.
failure cut_answer(failure reason, bool streaming);

}  // namespace llm_proxy
