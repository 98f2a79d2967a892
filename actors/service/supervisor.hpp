// Keeps the shared actors (auth, registry, pool, metrics and observer of each thread; admission and probe)
// alive: one that dies is spawned again at once, and all that work with it are told. Requests meanwhile find
// a dead actor, which is an `internal` error, never silence. Also tells them what an operator has changed.
// Spawned once, by proxy.cpp, on the first thread; lives as long as the process and ends the actors it keeps.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/telemetry/actor_counts.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <vector>

namespace llm_proxy {

/// How one thread's shared actors are spawned.
struct shared_actor_factories {
  io_worker* home;
  std::function<auth_actor()> auth;
  adapter_factory adapter;  ///< for the pool
  std::function<pool_actor(const adapter_factory&)> pool;
  std::function<registry_actor(pool_actor)> registry;
  std::function<metrics_actor()> metrics;
  std::function<observer_actor()> observer;
};
/// And how all of them are. A new admission actor starts with an empty book: what is in flight no longer
/// counts.
struct actor_factories {
  std::vector<shared_actor_factories> threads;
  std::function<admission_actor()> admission;
  std::function<probe_actor()> probe;         ///< none: no upstream is ever left out
  std::shared_ptr<upstream_table> upstreams;  ///< those of the pools; null in mock mode
  std::shared_ptr<actor_counts> counts;       ///< where it is noted that one was replaced
};

struct supervisor_state {
  static inline const char* name = "supervisor";

  supervisor_state() = default;
  /// Ends the actors it keeps.
  ~supervisor_state();

  io_worker* home = nullptr;
  std::shared_ptr<const actor_factories> factories;
  std::vector<shared_actors> kept;  // by thread
  probe_actor probe;                // null: none is needed
  key_table_ptr keys;               // the newest; null: those that the factories know
  std::vector<acceptor_actor> acceptors;
  std::set<caf::actor_id> dead;     // and not yet replaced
  std::unique_ptr<deadline> again;  // an actor that dies as soon as it is spawned must not make this one spin
  steady_clock::time_point last_replaced;
};

/// `kept` as spawn_shared() made them. `acceptors` are told when those of their thread change: one per
/// thread, then any more of the first one.
supervisor_actor::behavior_type supervisor(pinned_pointer<supervisor_actor, supervisor_state> self,
                                           io_worker* home, std::shared_ptr<const actor_factories> factories,
                                           std::vector<shared_actors> kept,
                                           std::vector<acceptor_actor> acceptors);

/// Spawns all shared actors, by thread.
std::vector<shared_actors> spawn_shared(const actor_factories& factories);

}  // namespace llm_proxy
