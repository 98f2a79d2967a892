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

}  // namespace llm_proxy
