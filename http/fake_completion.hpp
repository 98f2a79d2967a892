// Mock mode's chat completions: reads what a request asks for and writes the answer in OpenAI's JSON.
#pragma once

#include "http/token_usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// What the fake adapter answers to, out of a body that passed the gate.
struct fake_request {
  std::string model;
  std::string user_text;           // the last user message: its string, or the text parts of its array joined
  std::vector<std::string> tools;  // names: tools[].function.name and functions[].name
  bool stream = false;
  bool include_usage = false;
};

fake_request read_fake_request(std::string_view body);

struct fake_reply {
  std::string id;            // chatcmpl-...
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string text;
  std::string tool;          // name of the tool to call instead of answering by text; empty: none
  std::string tool_call_id;  // call_...
  std::string arguments;     // JSON object
  token_usage usage;         // words for tokens
};

/// The mock answer: `Mock LLM response: <user text>`, or a call of the tool that the user text names by `call
/// <tool>`. `unique` makes the ids.
fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created);

/// The whole answer as one JSON object.
std::string fake_completion(const fake_reply& reply);

// The answer as chunks: the JSON of each event's data, in the order of these functions. With `usage_follows`
// each carries `"usage":null`, as OpenAI does when the client asked for usage.
std::string fake_first_chunk(const fake_reply& reply,
                             bool usage_follows);  // the role; and the tool call's head
std::string fake_delta_chunk(const fake_reply& reply, std::string_view delta,
                             bool usage_follows);  // a piece of the text, or of the tool call's arguments
std::string fake_last_chunk(const fake_reply& reply, bool usage_follows);  // finish_reason
std::string fake_usage_chunk(const fake_reply& reply);

/// All of them in order, `[DONE]` last.
std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage);

/// Cuts a text before each word's white space; the pieces joined are the text byte for byte.
std::vector<std::string> split_words(std::string_view text);

}  // namespace llm_proxy
