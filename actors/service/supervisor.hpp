// Keeps the shared actors alive: auth, registry, pool, metrics and observer of each thread, and admission and
// probe. If one dies, the supervisor spawns it again at once, and tells all actors that work with it.
// Requests that use a dead actor meanwhile get an `internal` error, and do not hang. The supervisor also
// passes on changes of the configuration. proxy.cpp spawns it once, on the first thread. It lives as long as
// the process, and ends the actors that it keeps.
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
/// How the shared actors of all threads are spawned. A new admission actor starts with an empty book, so
/// requests that are in flight then no longer count.
struct actor_factories {
  std::vector<shared_actor_factories> threads;
  std::function<admission_actor()> admission;
  std::function<probe_actor()> probe;         ///< empty if no upstream is ever left out
  std::shared_ptr<upstream_table> upstreams;  ///< those of the pools; null in mock mode
  std::shared_ptr<actor_counts> counts;       ///< counts the actors that were replaced
};

struct supervisor_state {
  static inline const char* name = "supervisor";

  supervisor_state() = default;
  /// Ends the actors it keeps.
  ~supervisor_state();

  io_worker* home = nullptr;
  std::shared_ptr<const actor_factories> factories;
  std::vector<shared_actors> kept;  // by thread
  probe_actor probe;                // null if none is needed
  key_table_ptr keys;               // the newest; null if they are still those of the factories
  std::vector<acceptor_actor> acceptors;
  std::set<caf::actor_id> dead;     // those that are not yet replaced
  std::unique_ptr<deadline> again;  // for the next round: the supervisor must not spin if actors die at once
  steady_clock::time_point last_replaced;
};

/// `kept` are the actors from spawn_shared(). `acceptors` are told when the shared actors of their thread
/// change: the first ones belong to one thread each, in order, and all further ones to the first thread.
supervisor_actor::behavior_type supervisor(pinned_pointer<supervisor_actor, supervisor_state> self,
                                           io_worker* home, std::shared_ptr<const actor_factories> factories,
                                           std::vector<shared_actors> kept,
                                           std::vector<acceptor_actor> acceptors);

/// Spawns all shared actors except the probe, and returns them by thread.
std::vector<shared_actors> spawn_shared(const actor_factories& factories);

}  // namespace llm_proxy
