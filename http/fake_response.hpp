// Mock mode's answers in OpenAI's Responses API.
#pragma once

#include "http/fake_surface.hpp"

#include <cstdint>
#include <string_view>

namespace llm_proxy {

/// The answer to POST /v1/responses, streamed where the body asks for it: a text, or calls of the functions
/// that the user names. `unique` makes the ids, `created` is in seconds since 1970.
fake_answer fake_response(std::string_view body, std::string_view unique, std::int64_t created);

}  // namespace llm_proxy
