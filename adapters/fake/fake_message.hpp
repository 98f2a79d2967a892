// Mock mode's answers in Anthropic's Messages API.
#pragma once

#include "adapters/fake/fake_surface.hpp"

#include <string_view>

namespace llm_proxy {

/// Returns the answer to POST /v1/messages, as a stream if the body says `"stream":true`. The answer is a
/// text, or tool calls if the user's message says `call <name>`. `unique` makes the ids.
fake_answer fake_message(std::string_view body, std::string_view unique);

/// Returns the answer to POST /v1/messages/count_tokens, which counts words as tokens.
fake_answer fake_token_count(std::string_view body);

}  // namespace llm_proxy
