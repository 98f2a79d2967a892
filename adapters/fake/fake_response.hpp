// Mock mode's answers in OpenAI's Responses API.
#pragma once

#include "adapters/fake/fake_surface.hpp"

#include <cstdint>
#include <string_view>

namespace llm_proxy {

/// Returns the answer to POST /v1/responses, as a stream if the body says `"stream":true`. The answer is a
/// text, or function calls if the user's message says `call <name>`. `unique` makes the ids, `created` is in
/// seconds since 1970.
fake_answer fake_response(std::string_view body, std::string_view unique, std::int64_t created);

/// Returns the answer to POST /v1/responses/compact: the user's message and an item that stands for the rest.
fake_answer fake_compaction(std::string_view body, std::string_view unique, std::int64_t created);

/// Returns the answer to POST /v1/responses/input_tokens: the number of words of the user's message.
fake_answer fake_input_tokens(std::string_view body);

}  // namespace llm_proxy
