// Chooses among the adapters of its thread: the least loaded one, replaced when it dies. One per I/O thread,
// spawned by proxy.cpp for the process's life.
#pragma once

#include "actors/messages.hpp"
#include "actors/pinned.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace llm_proxy {

/// Spawns one adapter on the pool's thread.
using adapter_factory = std::function<adapter_actor()>;

struct pool_options {
  std::size_t adapters = 1;
  std::size_t max_concurrent = 0;  ///< requests per adapter; 0 = no limit
};

struct pool_state {
  static inline const char* name = "pool";

  struct member {
    adapter_actor adapter;
    /// Requests it has; shared with the leases, which may end on another thread.
    std::shared_ptr<std::atomic<std::size_t>> load;
  };

  pool_state() = default;
  /// Ends its adapters; their requests get an error.
  ~pool_state();

  /// The least loaded member with room, those chosen longest ago first; nullopt when all are full.
  /// `unlimited`: room or not, and it does not count.
  std::optional<adapter_lease> lease(bool unlimited);

  pool_options options;
  std::vector<member> members;
  std::size_t next = 0;
  std::vector<pool_actor> others;  ///< pools of the other threads, asked when this one is full
};

pool_actor::behavior_type pool(pinned_pointer<pool_actor, pool_state> self, pool_options options,
                               adapter_factory spawn_adapter);

}  // namespace llm_proxy
