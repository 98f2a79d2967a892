// What to do with an upstream's answer: judged from its head, then from its body when that was held back.
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
  stream,  ///< an event stream: pass it on as it comes, judged by its events
  pass,    ///< audio, text …: pass it on as it comes, judged by its framing
  hold,    ///< hold the body until it is whole, then judge_held()
  refuse,  ///< of no use whatever its body says (a redirect)
};

/// How an endpoint's answers are to be read.
struct answer_terms {
  dialect speaks = dialect::chat;
  error_wording wording = error_wording::normalized;
  bool any_media = false;      ///< a success need not be JSON
  bool may_stream = false;     ///< the client asked for an event stream, or gets one if upstream says so
  bool may_be_empty = false;   ///< a 204 is a success, as the answer to DELETE is
  bool has_condition = false;  ///< the client asked for a 304 where it applies (RFC 9110 §13)
};

answer_plan plan_answer(const response_head& head, const answer_terms& terms);

/// The outcome of a held answer.
struct held_verdict {
  unsigned status = 0;              ///< for the client
  errc code = errc::none;           ///< none: a success; else what the log says
  std::optional<std::string> body;  ///< set: the client gets this instead of upstream's body
  error_advice advice;              ///< of an error
  std::string detail;               ///< for the log
  std::optional<token_usage> usage;
  std::string model = {};  ///< that answered, where it is told
};

/// Judges a whole answer. Statuses keep their meaning (docs/api.md, "Errors"): 401 is our key's fault, 408 is
/// a timeout of upstream's, 5xx other than 503, 504 and 529 are a bad gateway; an error inside a 200 is an
/// error.
held_verdict judge_held(const response_head& head, std::string_view body, const answer_terms& terms);

/// What a client is told when an answer could not be used, or did not come to its end.
/// `streaming`: an event stream was being passed on. Whatever broke it, all that counts then is that it ended
/// too early.
failure cut_answer(failure reason, bool streaming);

}  // namespace llm_proxy
