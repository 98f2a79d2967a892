// LiteLLM's error dialect, decoded: whose fault an error is, whether and when to try again, and what of it a
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

/// What an error answer says beyond its body; sent as headers.
struct error_advice {
  blame source = blame::proxy;  ///< x-llm-proxy-error-source
  bool retryable = false;       ///< x-should-retry, where upstream sent none
  std::string retry_after;      ///< retry-after, where upstream sent none; empty: nobody said
  bool is_final = false;        ///< no retry can help, whatever upstream's own headers say of it
};

/// The advice for a failure that no upstream put into words.
error_advice advice_for(errc code);
/// Adds it to an answer's headers, each where it is not there yet. Advice that is final replaces upstream's.
void add_advice(header_list& headers, const error_advice& advice);

enum class error_wording : std::uint8_t { normalized, raw };

struct decoded_error {
  unsigned status = 0;     ///< for the client
  errc code = errc::none;  ///< for the verdict
  error_advice advice;
  std::string body;    ///< for the client; empty: upstream's own bytes
  std::string detail;  ///< for the log: upstream's words, where the client does not get them
};

/// Decodes an error answer whose body is whole. `readable`: it is not compressed.
decoded_error decode_error(const response_head& head, std::string_view body, bool readable,
                           error_wording wording, dialect speaks);

/// True if an error answer says that the key is wrong which this service has for upstream (a 401 may also say
/// that the key is right and this model is not for it).
bool refuses_our_key(unsigned status, const embedded_error& error);

/// An error event in the middle of a stream (one event, whole) as a client of this dialect is to read it:
/// LiteLLM writes OpenAI's chat shape on every route, which Anthropic's SDKs ignore and return half an
/// answer. Byte for byte as it came if it has the dialect's shape already and tells nothing internal.
/// `sequence_number`: of the event in the Responses API.
std::string worded_error_event(std::string event, error_wording wording, dialect speaks,
                               std::uint64_t sequence_number);

/// The data of the first event of `stream` (whole events), for an error that came as one.
std::string first_event_data(std::string_view stream);

}  // namespace llm_proxy
