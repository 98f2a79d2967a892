// The script that a fake adapter plays: an answer as a list of chunks and delays, and the function that makes
// it.
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
  std::optional<failure> fails;  ///< how it ends; nullopt for success. Without steps it fails before the head
};

/// Returns how a request is to be answered.
using fake_author = std::function<fake_script(const upstream_request&)>;

/// Returns mock mode's author. It echoes the last user message (`Mock LLM response: …`), with one delta per
/// `chunk_delay`, or calls the tools that the message names.
fake_author mock_author(std::chrono::milliseconds chunk_delay);

}  // namespace llm_proxy
