// Mock mode's answers in OpenAI's responses and in Anthropic's messages.
#pragma once

#include "http/fake_surface.hpp"

namespace llm_proxy {

fake_answer fake_response(std::string_view body, std::string_view unique, std::int64_t created);
fake_answer fake_message(std::string_view body, std::string_view unique);
fake_answer fake_token_count(std::string_view body);

}  // namespace llm_proxy
