// The answers of mock mode: their content, for every dialect, and their form as OpenAI's chat completions.
#pragma once

#include "adapters/fake/fake_request.hpp"
#include "http/dialect/token_usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct fake_call {
  std::string number;  // empty for the first call, then _1, _2 …; ends the ids of the call
  std::string name;
  std::string arguments;  // JSON object
};

struct fake_reply {
  std::string unique;        // part of all its ids
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string text;
  std::vector<fake_call> calls;  // instead of text
  token_usage usage;             // counts words as tokens
};

/// Returns the mock answer: a call of each tool that the user text names by `call <tool>`. If it names none,
/// or if a tool's result is there already, it is `Mock LLM response: <user text>`, or a JSON value that fits
/// the schema if one was asked for.
fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created);

/// Returns the whole answer as one JSON object.
std::string fake_completion(const fake_reply& reply);

/// Returns the answer as chunks: the JSON of each event's data, then `[DONE]`. With `include_usage` the last
/// chunk before `[DONE]` has the usage, and the earlier ones have `"usage":null`, as OpenAI does it.
std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage);

/// Splits a text before the white space of each word. The pieces joined are the text, byte for byte.
std::vector<std::string> split_words(std::string_view text);

}  // namespace llm_proxy
