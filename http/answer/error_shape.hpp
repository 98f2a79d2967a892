// An error as a client of each dialect expects it: as a body, and as the last event of a stream.
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

/// The body of an answer. OpenAI: `{"error":{"message","type","param","code"}}`; Anthropic:
/// `{"type":"error","error":{"type","message","param","code"}}`.
std::string error_body(dialect speaks, const error_words& words);

/// The event that ends a stream which failed. `sequence_number`: the Responses API numbers its events, and
/// clients that check them (AI SDK) break without it.
std::string error_event(dialect speaks, const error_words& words, std::uint64_t sequence_number);

/// For a failure of ours, or one that upstream did not put into words. A 401 also has the original service's
/// `detail`. `detail`: what else stands there, as JSON text (the list of a 422); empty if there is nothing.
std::string error_body(dialect speaks, const failure& fault, std::string_view detail = {});
std::string error_event(dialect speaks, const failure& fault, std::uint64_t sequence_number);

/// Anthropic's error type for a status (docs.anthropic.com, "Errors").
std::string_view anthropic_error_type(unsigned status);

/// OpenAI's error type for a status, where nothing more precise is known.
std::string_view openai_error_type(unsigned status);

}  // namespace llm_proxy
