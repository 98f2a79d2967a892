// Writes an error in the shape that a client of each dialect expects: as a body, or as the last event of a
// stream.
#pragma once

#include "http/dialect/dialect.hpp"
#include "http/wire/errc.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

/// What a client is told.
struct error_words {
  unsigned status = 500;
  std::string_view message;
  std::string_view type;   // OpenAI's; Anthropic's follows from the status
  std::string_view param;  // empty: null
  std::string_view code;   // empty: null
};

/// Returns the body of an answer. OpenAI: `{"error":{"message","type","param","code"}}`; Anthropic:
/// `{"type":"error","error":{"type","message","param","code"}}`.
std::string error_body(dialect speaks, const error_words& words);

/// Returns the event that ends a stream which failed. `sequence_number`: the Responses API numbers its
/// events, and clients that check the numbers (AI SDK) fail without it.
std::string error_event(dialect speaks, const error_words& words, std::uint64_t sequence_number);

/// The same for a failure of ours, or one that did not come from upstream as an error answer. A 401 also has
/// the original service's `detail`. `detail`: JSON text for that member (the list of a 422); empty if there
/// is none.
std::string error_body(dialect speaks, const failure& fault, std::string_view detail = {});
std::string error_event(dialect speaks, const failure& fault, std::uint64_t sequence_number);

/// Returns Anthropic's error type for a status (docs.anthropic.com, "Errors").
std::string_view anthropic_error_type(unsigned status);

/// Returns OpenAI's error type for a status, if nothing more precise is known.
std::string_view openai_error_type(unsigned status);

}  // namespace llm_proxy
