// Makes answers up, in mock mode and for tests: a script of chunks, delays and failures, played with the same
// messages and the same credit as the LiteLLM adapter. Spawned by its pool.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace llm_proxy {

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

class fake_play;

struct fake_state {
  static inline const char* name = "fake";

  fake_state();
  ~fake_state();

  std::unordered_map<std::uint64_t, std::unique_ptr<fake_play>> plays;
};

adapter_actor::behavior_type fake(pinned_pointer<adapter_actor, fake_state> self, io_worker* home,
                                  fake_author author);

}  // namespace llm_proxy
