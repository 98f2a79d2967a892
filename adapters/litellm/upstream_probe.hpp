// Looks after the upstreams that were left out: asks each for GET /health/liveliness every few seconds, and
// the one that answers is used again. Also asks one that clients gave up before its first byte, and leaves it
// out if it does not answer. (Never for /health: LiteLLM makes a paid call to every model for it.)
// Spawned once by proxy.cpp when there are several upstreams; lives as long as the process.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/messages/upstream_table.hpp"
#include "actors/runtime/pinned.hpp"
#include "adapters/litellm/litellm.hpp"

#include <chrono>
#include <memory>
#include <vector>

namespace llm_proxy {

inline constexpr std::chrono::milliseconds probe_pause{3000};
inline constexpr std::chrono::milliseconds probe_timeout{2000};

class liveliness_call;

struct upstream_probe_state {
  static inline const char* name = "upstream_probe";

  upstream_probe_state();
  ~upstream_probe_state();

  std::vector<litellm_options> upstreams;
  std::shared_ptr<upstream_table> table;
  std::vector<std::unique_ptr<liveliness_call>> calls;  // per upstream; null: none under way
  std::unique_ptr<deadline> due;
};

probe_actor::behavior_type upstream_probe(pinned_pointer<probe_actor, upstream_probe_state> self,
                                          io_worker* home, std::vector<litellm_options> upstreams,
                                          std::shared_ptr<upstream_table> table);

}  // namespace llm_proxy
