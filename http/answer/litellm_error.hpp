// Decodes LiteLLM's errors: whose fault an error is, whether and when to try again, and which part of it a
// client may read. tests/data/litellm has what a real LiteLLM says.
#pragma once

#include "http/answer/litellm_classes.hpp"
#include "http/dialect/dialect.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

/// What an error answer says in its headers, beyond its body.
struct error_advice {
  blame source = blame::proxy;  ///< x-llm-proxy-error-source
  bool retryable = false;       ///< x-should-retry, unless upstream sent it
  std::string retry_after;      ///< retry-after, unless upstream sent it; empty if it is not known
  bool is_final = false;        ///< no retry can help, whatever upstream's own headers say
};

/// Returns the advice for a failure that did not come from upstream as an error answer.
error_advice advice_for(errc code);
/// Adds the advice to an answer's headers, as far as they do not have it. Final advice replaces upstream's.
void add_advice(header_list& headers, const error_advice& advice);

enum class error_wording : std::uint8_t { normalized, raw };

struct decoded_error {
  unsigned status = 0;     ///< for the client
  errc code = errc::none;  ///< for the verdict
  error_advice advice;
  std::string body;    ///< for the client; empty if it gets upstream's own bytes
  std::string detail;  ///< for the log: upstream's words, if the client does not get them
};

/// Decodes an error answer with a complete body. `readable`: the body is not compressed.
decoded_error decode_error(const response_head& head, std::string_view body, bool readable,
                           error_wording wording, dialect speaks);

/// Whether an error answer says that upstream refuses the key of this service. A 401 may also say that the
/// key is valid but not allowed to use this model.
bool refuses_our_key(unsigned status, const embedded_error& error);

/// Returns an error event from the middle of a stream (one complete event) in the shape of the client's
/// dialect. LiteLLM writes OpenAI's chat shape on every route; Anthropic's SDKs ignore that and return half
/// an answer. The event is returned byte for byte if it has the dialect's shape already and shows nothing
/// internal. `sequence_number`: that of the event in the Responses API.
std::string worded_error_event(std::string event, error_wording wording, dialect speaks,
                               std::uint64_t sequence_number);

/// Returns the data of the first event of `stream` (complete events), for an error that came as an event.
std::string first_event_data(std::string_view stream);

}  // namespace llm_proxy
