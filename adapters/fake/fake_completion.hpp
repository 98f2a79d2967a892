// What mock mode answers, in any dialect, and how it reads as one of OpenAI's chat completions.
#pragma once

#include "adapters/fake/fake_request.hpp"
#include "http/dialect/token_usage.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct fake_call {
  std::string number;  // empty for the first one, then _1, _2 …: the ids of calls end by it
  std::string name;
  std::string arguments;  // JSON object
};

struct fake_reply {
  std::string unique;        // what its ids are made of
  std::int64_t created = 0;  // seconds since 1970
  std::string model;
  std::string text;
  std::vector<fake_call> calls;  // instead of text
  token_usage usage;             // words for tokens
};

/// The mock answer: `Mock LLM response: <user text>`, or a call of each tool that the user text names by
/// `call <tool>`, or an object after the schema that was asked for; once there is a tool's result, the text
/// again.
fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created);

/// The whole answer as one JSON object.
std::string fake_completion(const fake_reply& reply);

/// The answer as chunks: the JSON of each event's data, `[DONE]` last. With `include_usage` the last but one
/// tells it, and each before carries `"usage":null`, as OpenAI does.
std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage);

/// Cuts a text before each word's white space; the pieces joined are the text byte for byte.
std::vector<std::string> split_words(std::string_view text);

}  // namespace llm_proxy
