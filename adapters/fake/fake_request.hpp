// What a request asks of mock mode, read out of the body in each of the three dialects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// What the mock answers to, out of a body that passed the gate.
struct fake_request {
  std::string model;
  std::string user_text;           // the last user message: its string, or the text parts of its array joined
  std::vector<std::string> tools;  // the names of the functions that may be called
  bool after_tools = false;        // the last message is a tool's result, which user_text then holds
  std::string schema;  // the JSON schema to answer by, "{}" for any object; empty: none is asked for
  bool stream = false;
  bool include_usage = false;  // chat's stream_options
};

/// A chat completion: `messages`, `tools` and `functions`, `response_format`.
fake_request read_fake_chat(std::string_view body);

/// OpenAI's Responses API: `input` (a text, or items), `tools`, `text.format`.
fake_request read_fake_response(std::string_view body);

/// Anthropic's Messages API: `messages`, `tools`, `output_config.format` and its older name `output_format`.
fake_request read_fake_message(std::string_view body);

}  // namespace llm_proxy
