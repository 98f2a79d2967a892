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
#include <utility>
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

  /// Shared with the leases, which may end on another thread: a pool that dies leaves the requests of its
  /// adapters alone, and each adapter ends with its last one.
  struct employment {
    explicit employment(adapter_actor whom) : adapter{std::move(whom)} {}
    ~employment() { caf::anon_send_exit(adapter, caf::exit_reason::user_shutdown); }
    employment(const employment&) = delete;
    employment& operator=(const employment&) = delete;

    adapter_actor adapter;
    std::atomic<std::size_t> load{0};  // requests
  };
  using member = std::shared_ptr<employment>;

  /// The least loaded member with room, those chosen longest ago first; nullopt when all are full.
  /// `unlimited`: room or not, and it does not count as a request.
  std::optional<adapter_lease> lease(bool unlimited);

  pool_options options;
  std::vector<member> members;
  std::size_t next = 0;
  std::vector<pool_actor> others;  ///< pools of the other threads, asked when this one is full
};

pool_actor::behavior_type pool(pinned_pointer<pool_actor, pool_state> self, pool_options options,
                               adapter_factory spawn_adapter);

}  // namespace llm_proxy
