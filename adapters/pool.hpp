// Chooses an adapter of its thread for each request, and replaces adapters that die. There is one per I/O
// thread; proxy.cpp spawns it, and it lives as long as the process.
//
// If there are several upstreams, it draws two usable ones at random and takes the one with fewer requests
// ("power of two choices"). That is nearly as even as always taking the least loaded, and does not send a
// herd of requests to the one that looks idle. Of that upstream's adapters it takes the least loaded.
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
  std::size_t adapters = 1;                             ///< spread over the upstreams, at least one for each
  std::size_t max_concurrent = 0;                       ///< requests per adapter; 0 = no limit
  std::shared_ptr<upstream_table> upstreams = nullptr;  ///< null if there is only one
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

  /// An adapter and its load. The leases share it, and may end on another thread. So when a pool dies, the
  /// requests of its adapters go on, and each adapter ends with its last request.
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

  /// Returns nullopt if every adapter that may be chosen is full.
  std::optional<adapter_lease> lease(const lease_adapter& request);
  /// Returns the upstreams in the order in which they are to be tried.
  std::vector<std::size_t> draw(const lease_adapter& request, steady_clock::time_point now);
  /// Returns the least loaded member that has room; among equals, the one that was chosen longest ago. With
  /// `upstream`, only members of that upstream count. Returns null if all are full.
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
