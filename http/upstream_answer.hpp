// What to do with an upstream's answer: judged from its head, then from its body when that was held back.
#pragma once

#include "http/errc.hpp"
#include "http/message.hpp"
#include "http/token_usage.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

enum class answer_plan : std::uint8_t {
  stream,  ///< an event stream: pass it on as it comes
  hold,    ///< hold the body until it is whole, then judge_held()
  refuse,  ///< of no use whatever its body says (a redirect)
};

/// `wants_stream`: the client asked for one.
answer_plan plan_answer(const response_head& head, bool wants_stream);

/// The outcome of a held answer.
struct held_verdict {
  unsigned status = 0;              ///< for the client
  errc code = errc::none;           ///< none: a success; else what the log says
  std::optional<failure> replaced;  ///< set: the client gets this instead of upstream's body
  std::string detail;               ///< for the log
  std::optional<token_usage> usage;
};

/// Judges a whole answer. Statuses keep their meaning (README, "Errors"): 401 is our key's fault, 408 is a
/// timeout of upstream's, 5xx other than 503, 504 and 529 are a bad gateway; an error inside a 200 is an
/// error.
held_verdict judge_held(const response_head& head, std::string_view body);

/// True if an error answer says that the key is wrong which this service has for upstream (a 401 may also say
/// that the key is right and this model is not for it).
bool refuses_our_key(unsigned status, std::string_view body);

/// What a client is told when a held or streamed body did not come to its end.
/// `streaming`: an event stream was being passed on.
failure cut_answer(failure reason, bool streaming);

}  // namespace llm_proxy
