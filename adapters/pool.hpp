// Chooses among the adapters of its thread, and replaces those that die. One per I/O thread, spawned by
// proxy.cpp for the process's life.
//
// Of several upstreams two usable ones are drawn, and the one with fewer requests is taken ("power of two
// choices": nearly as even as the least of all, and no herd runs to the one that looks idle); of its adapters
// the least loaded.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/telemetry/actor_counts.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace llm_proxy {

struct pool_options {
  std::size_t adapters = 1;        ///< dealt out over the upstreams, at least one for each
  std::size_t max_concurrent = 0;  ///< requests per adapter; 0 = no limit
  std::shared_ptr<upstream_table> upstreams = nullptr;  ///< null: there is one
  std::shared_ptr<actor_counts> counts = std::make_shared<actor_counts>();
};

struct pool_state {
  static inline const char* name = "pool";

  pool_state() = default;
  ~pool_state() {
    if (counted) --options.counts->pools;
  }
  pool_state(const pool_state&) = delete;
  pool_state& operator=(const pool_state&) = delete;

  /// Shared with the leases, which may end on another thread: a pool that dies leaves the requests of its
  /// adapters alone, and each adapter ends with its last one.
  struct employment {
    employment(adapter_actor whom, std::size_t of, std::shared_ptr<actor_counts> all)
        : adapter{std::move(whom)}, upstream{of}, counts{std::move(all)} {
      ++counts->adapters;
    }
    ~employment() {
      --counts->adapters;
      caf::anon_send_exit(adapter, caf::exit_reason::user_shutdown);
    }
    employment(const employment&) = delete;
    employment& operator=(const employment&) = delete;

    adapter_actor adapter;
    std::size_t upstream;
    std::shared_ptr<actor_counts> counts;
    std::atomic<std::size_t> load{0};  // requests
  };
  using member = std::shared_ptr<employment>;

  /// Nullopt when all that may be chosen are full.
  std::optional<adapter_lease> lease(const lease_adapter& request);
  /// Upstreams in the order in which they are to be asked.
  std::vector<std::size_t> draw(const lease_adapter& request, steady_clock::time_point now);
  /// The least loaded member with room, those chosen longest ago first. `upstream`: of that one only. Null:
  /// all are full.
  member least_loaded(bool unlimited, std::optional<std::size_t> upstream);
  bool several() const { return options.upstreams && options.upstreams->size() > 1; }

  pool_options options;
  bool counted = false;  ///< in options.counts
  std::vector<member> members;
  std::size_t next = 0;
  std::minstd_rand random{std::random_device{}()};
  std::vector<pool_actor> others;  ///< pools of the other threads, asked when this one is full
};

pool_actor::behavior_type pool(pinned_pointer<pool_actor, pool_state> self, pool_options options,
                               adapter_factory spawn_adapter);

}  // namespace llm_proxy
