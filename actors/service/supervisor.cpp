#include "actors/service/supervisor.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<supervisor_actor, supervisor_state>;

/// The pause between two rounds of replacements. It is well below the 100 ms within which a dead actor has to
/// be replaced.
constexpr auto pause = std::chrono::milliseconds{50};

/// Calls `visit(name, actor, how it is spawned)` for each kind of actor of which every thread has its own. A
/// new kind needs a row here.
template <class Visit>
void for_each_of_thread(shared_actors& kept, const shared_actor_factories& factories, Visit visit) {
  visit("auth", kept.auth, factories.auth);
  visit("metrics", kept.metrics, factories.metrics);
  visit("pool", kept.pool, [&] { return factories.pool(factories.adapter); });
  visit("model_registry", kept.registry, [&] { return factories.registry(kept.pool); });
}

/// The same for the actors that all threads know: the one admission actor, and the observer of each thread.
template <class Visit>
void for_each_of_process(std::vector<shared_actors>& kept, const actor_factories& factories, Visit visit) {
  auto& first = kept.front();
  visit(std::size_t{0}, "admission", first.admission, factories.admission);
  for (std::size_t i = 0; i < first.observers.size(); ++i)
    visit(i, "observer", first.observers[i], factories.threads[i].observer);
  for (auto& each : kept) {
    each.admission = first.admission;
    each.observers = first.observers;
  }
}

/// Calls `visit(thread, name, actor, how it is spawned)` for every actor that is kept, except the probe.
template <class Visit>
void for_each_kept(supervisor_state& state, Visit visit) {
  for_each_of_process(state.kept, *state.factories, visit);
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    for_each_of_thread(
        state.kept[i], state.factories->threads[i],
        [&](const char* what, auto& actor, const auto& spawn) { visit(i, what, actor, spawn); });
  }
}

/// Replaces `actor` if it is dead. Returns whether it did.
template <class Handle, class Spawn>
bool revive(self_pointer self, std::size_t thread, Handle& actor, const char* what, const Spawn& spawn) {
  const auto old = actor.id();
  if (self->state.dead.count(old) == 0) return false;
  actor = spawn();
  self->monitor(actor);
  // A new actor starts with the keys of the factories. If newer ones were read since, it gets them here.
  if constexpr (std::is_same_v<Handle, auth_actor> || std::is_same_v<Handle, metrics_actor>) {
    if (self->state.keys) self->send(actor, keys_changed{self->state.keys});
  }
  self->state.dead.erase(old);
  ++self->state.factories->counts->replaced;
  spdlog::error("supervisor: {} {} of thread {} died and is replaced", what, old, thread);
  return true;
}

bool revive_probe(self_pointer self) {
  auto& state = self->state;
  if (!state.probe || !revive(self, 0, state.probe, "upstream_probe", state.factories->probe)) return false;
  for (auto& each : state.kept) each.probe = state.probe;
  return true;
}

/// Ends the old probe, and spawns one by the current factories if they have one.
void replace_probe(self_pointer self) {
  auto& state = self->state;
  if (auto old = std::exchange(state.probe, nullptr)) {
    self->demonitor(old.address());
    self->send_exit(old, caf::exit_reason::user_shutdown);
  }
  if (state.factories->probe) {
    state.probe = state.factories->probe();
    self->monitor(state.probe);
  }
  for (auto& each : state.kept) each.probe = state.probe;
}

/// Tells all actors that work with shared actors who those are. It sends everything again, even what they
/// know already, because deaths are rare.
void introduce(const supervisor_state& state) {
  std::vector<registry_actor> registries;
  for (const auto& each : state.kept) registries.push_back(each.registry);
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    pool_peers pools;
    metrics_peers metrics;
    for (std::size_t k = 1; k < state.kept.size(); ++k) {
      const auto& other = state.kept[(i + k) % state.kept.size()];
      pools.others.push_back(other.pool);
      metrics.others.push_back(other.metrics);
    }
    caf::anon_send(state.kept[i].pool, std::move(pools));
    caf::anon_send(state.kept[i].metrics, std::move(metrics));
    caf::anon_send(state.kept[i].registry,
                   registry_peers{registries, state.kept[i].pool, state.kept[i].upstreams});
  }
  for (std::size_t i = 0; i < state.acceptors.size(); ++i) {
    caf::anon_send(state.acceptors[i], state.kept[i < state.kept.size() ? i : 0]);
  }
}

void replace_dead(self_pointer self) {
  auto& state = self->state;
  state.last_replaced = state.home->timers().now();
  bool changed = false;
  try {
    changed = revive_probe(self);
    for_each_kept(state, [&](std::size_t thread, const char* what, auto& actor, const auto& spawn) {
      changed = revive(self, thread, actor, what, spawn) || changed;
    });
    state.dead.clear();  // the rest are actors that are no longer kept
    if (changed) introduce(state);
  } catch (const std::exception& error) {
    // Most likely there is no memory. The next round replaces the rest.
    spdlog::critical("supervisor: cannot replace a dead actor yet: {}", error.what());
    state.again->expires_after(pause);
  }
}

/// Uses the new pools. Each old pool ends when nobody refers to it any more.
void replace_pools(self_pointer self, std::vector<pool_actor> fresh) {
  auto& state = self->state;
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    auto& kept = state.kept[i];
    self->demonitor(kept.pool.address());
    // Pools refer to each other. Without this the old ones would never end.
    self->send(kept.pool, pool_peers{});
    kept.pool = std::move(fresh[i]);
    kept.upstreams = state.factories->upstreams;
    self->monitor(kept.pool);
  }
  replace_probe(self);
  introduce(state);
}

void reconfigure(self_pointer self, reconfigured& news) {
  auto& state = self->state;
  // First the steps that may fail: if one does, nothing has changed.
  std::vector<pool_actor> pools;
  for (std::size_t i = 0; news.new_pools && i < state.kept.size(); ++i) {
    const auto& factories = news.factories->threads[i];
    pools.push_back(factories.pool(factories.adapter));
  }
  state.factories = std::move(news.factories);
  self->send(state.kept.front().admission, limits_changed{news.limits});
  for (const auto& each : state.kept) self->send(each.registry, names_changed{news.names});
  if (news.new_pools) replace_pools(self, std::move(pools));
}

}  // namespace

supervisor_state::~supervisor_state() {
  if (probe) caf::anon_send_exit(probe, caf::exit_reason::user_shutdown);
  if (kept.empty()) return;
  for_each_kept(*this, [](std::size_t, const char*, const auto& actor, const auto&) {
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  });
}

std::vector<shared_actors> spawn_shared(const actor_factories& factories) {
  std::vector<shared_actors> all(factories.threads.size());
  for (auto& each : all) {
    each.upstreams = factories.upstreams;
    each.observers.resize(all.size());
  }
  for_each_of_process(all, factories,
                      [](std::size_t, const char*, auto& actor, const auto& spawn) { actor = spawn(); });
  for (std::size_t i = 0; i < all.size(); ++i) {
    for_each_of_thread(all[i], factories.threads[i],
                       [](const char*, auto& actor, const auto& spawn) { actor = spawn(); });
  }
  return all;
}

supervisor_actor::behavior_type supervisor(self_pointer self, io_worker* home,
                                           std::shared_ptr<const actor_factories> factories,
                                           std::vector<shared_actors> kept,
                                           std::vector<acceptor_actor> acceptors) {
  auto& state = self->state;
  state.home = home;
  state.factories = std::move(factories);
  state.kept = std::move(kept);
  state.acceptors = std::move(acceptors);
  state.again =
      std::make_unique<deadline>(home->timers(), [self] { enter(self, [self] { replace_dead(self); }); });
  for_each_kept(state,
                [&](std::size_t, const char*, const auto& actor, const auto&) { self->monitor(actor); });
  replace_probe(self);
  self->set_down_handler([self, home](caf::down_msg& down) {
    const bool first = self->state.dead.empty();
    self->state.dead.insert(down.source.id());
    if (!first) return;  // the next round is due already
    if (home->timers().now() - self->state.last_replaced >= pause) {
      replace_dead(self);
    } else {
      self->state.again->expires_after(pause);
    }
  });
  introduce(state);
  return {
      // If the supervisor died, all actors that it keeps would end. So it survives exceptions in its
      // handlers.
      [self](get_shared_actors) -> caf::result<all_shared_actors> {
        all_shared_actors all;
        const bool copied =
            survives(self->name(), "telling whom it keeps", [&] { all.by_thread = self->state.kept; });
        if (!copied) return to_error({.code = errc::internal, .detail = "the supervisor is out of memory"});
        return all;
      },
      [self](keys_changed& news) {
        self->state.keys = std::move(news.keys);
        survives(self->name(), "passing keys on", [self] {
          for (const auto& each : self->state.kept) {
            self->send(each.auth, keys_changed{self->state.keys});
            self->send(each.metrics, keys_changed{self->state.keys});
          }
        });
      },
      [self](reconfigured& news) {
        survives(self->name(), "reconfiguring", [&] { reconfigure(self, news); });
      },
  };
}

}  // namespace llm_proxy
