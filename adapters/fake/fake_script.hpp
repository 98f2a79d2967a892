// What a fake adapter plays: an answer as a list of chunks and delays, and who makes it up.
#pragma once

#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

struct upstream_request;

struct fake_step {
  std::chrono::milliseconds delay{0};  ///< before `bytes`
  std::string bytes;
};

struct fake_script {
  std::chrono::milliseconds head_delay{0};
  unsigned status = 200;
  header_list headers;
  std::vector<fake_step> steps;
  std::optional<failure> fails;  ///< how it ends; nullopt: done. Before the head if there are no steps
};

/// Says how a request is to be answered.
using fake_author = std::function<fake_script(const upstream_request&)>;

/// Mock mode's author: echoes the last user message (`Mock LLM response: …`), one delta per `chunk_delay`, or
/// calls the tool that the message names.
fake_author mock_author(std::chrono::milliseconds chunk_delay);

}  // namespace llm_proxy
