// Checks upstreams that were left out: every few seconds it asks each for GET /health/liveliness, and one
// that answers with 200 is used again. It also checks an upstream that several clients gave up before its
// first byte, and leaves it out if it fails to answer or answers with a server error. (It never asks for
// /health, for which LiteLLM makes a paid call to every model.)
//
// There is one if there are several upstreams; proxy.cpp spawns it, and it lives as long as the process.
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
  std::vector<std::unique_ptr<liveliness_call>> calls;  // per upstream; null if none is under way
  std::unique_ptr<deadline> due;
};

probe_actor::behavior_type upstream_probe(pinned_pointer<probe_actor, upstream_probe_state> self,
                                          io_worker* home, std::vector<litellm_options> upstreams,
                                          std::shared_ptr<upstream_table> table);

}  // namespace llm_proxy
