// Reads from a body, in each of the three dialects, what mock mode needs to know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The parts of a request that the mock answer depends on. The body has passed the gate.
struct fake_request {
  std::string model;
  std::string user_text;           // of the last user message; the text parts of an array are joined
  std::vector<std::string> tools;  // the names of the functions that may be called
  bool after_tools = false;        // a tool's result is the last word; user_text then has that result
  std::string schema;  // the JSON schema of the answer, "{}" for any object; empty if there is none
  bool stream = false;
  bool include_usage = false;  // chat's stream_options
};

/// Reads a chat completion: `messages`, `tools` and `functions`, `response_format`.
fake_request read_fake_chat(std::string_view body);

/// Reads a request of OpenAI's Responses API: `input` (a text, or items), `tools`, `text.format`.
fake_request read_fake_response(std::string_view body);

/// Reads a request of Anthropic's Messages API: `messages`, `tools`, `output_config.format` and its older
/// name `output_format`.
fake_request read_fake_message(std::string_view body);

}  // namespace llm_proxy
