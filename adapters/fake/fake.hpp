// Makes up answers, in mock mode and in tests. It plays a script of chunks, delays and failures with the same
// messages and the same credit as the LiteLLM adapter. Its pool spawns it.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "adapters/fake/fake_script.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace llm_proxy {

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
