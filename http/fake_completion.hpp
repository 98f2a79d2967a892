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
  bool after_tools = false;        // the last message is a tool's result, which user_text then holds
  std::string schema;  // response_format's JSON schema, or "{}" for any object; empty: none is asked for
  bool stream = false;
  bool include_usage = false;
};

fake_request read_fake_request(std::string_view body);

struct fake_call {
  std::string id;  // call_...
  std::string name;
  std::string arguments;  // JSON object
};

struct fake_reply {
  std::string id;            // chatcmpl-...
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string text;
  std::vector<fake_call> calls;  // instead of text
  token_usage usage;             // words for tokens
};

/// The mock answer: `Mock LLM response: <user text>`, or a call of each tool that the user text names by
/// `call <tool>`, or an object after the schema that was asked for. `unique` makes the ids.
fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created);

/// The whole answer as one JSON object.
std::string fake_completion(const fake_reply& reply);

/// The answer as chunks: the JSON of each event's data, `[DONE]` last. With `include_usage` the last but one
/// tells it, and each before carries `"usage":null`, as OpenAI does.
std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage);

/// Cuts a text before each word's white space; the pieces joined are the text byte for byte.
std::vector<std::string> split_words(std::string_view text);

}  // namespace llm_proxy
