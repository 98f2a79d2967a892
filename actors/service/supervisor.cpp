#include "actors/service/supervisor.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<supervisor_actor, supervisor_state>;

/// Between two rounds of replacements: well under the 100 ms within which a dead actor is replaced.
constexpr auto pause = std::chrono::milliseconds{50};

/// Replaces `actor` if it is dead. True if it did.
template <class Handle, class Spawn>
bool revive(self_pointer self, std::size_t thread, Handle& actor, const char* what, Spawn spawn) {
  const auto old = actor.id();
  if (self->state.dead.count(old) == 0) return false;
  actor = spawn();
  self->monitor(actor);
  self->state.dead.erase(old);
  ++self->state.factories->counts->replaced;
  spdlog::error("supervisor: {} {} of thread {} died and is replaced", what, old, thread);
  return true;
}

bool revive_thread(self_pointer self, std::size_t thread) {
  const auto& factories = self->state.factories->threads[thread];
  const auto& keys = self->state.keys;
  auto& kept = self->state.kept[thread];
  bool changed = revive(self, thread, kept.auth, "auth", factories.auth);
  if (changed && keys) self->send(kept.auth, keys_changed{keys});
  if (revive(self, thread, kept.metrics, "metrics", factories.metrics)) {
    changed = true;
    if (keys) self->send(kept.metrics, keys_changed{keys});
  }
  changed =
      revive(self, thread, kept.pool, "pool", [&] { return factories.pool(factories.adapter); }) || changed;
  return revive(self, thread, kept.registry, "model_registry",
                [&] { return factories.registry(kept.pool); }) ||
         changed;
}

bool revive_admission(self_pointer self) {
  auto& all = self->state.kept;
  if (!revive(self, 0, all.front().admission, "admission", self->state.factories->admission)) return false;
  for (auto& each : all) each.admission = all.front().admission;
  return true;
}

bool revive_observers(self_pointer self) {
  auto& all = self->state.kept;
  auto observers = all.front().observers;
  bool changed = false;
  for (std::size_t i = 0; i < observers.size(); ++i) {
    changed =
        revive(self, i, observers[i], "observer", self->state.factories->threads[i].observer) || changed;
  }
  for (auto& each : all) each.observers = observers;
  return changed;
}

bool revive_probe(self_pointer self) {
  auto& state = self->state;
  if (!state.probe || !revive(self, 0, state.probe, "upstream_probe", state.factories->probe)) return false;
  for (auto& each : state.kept) each.probe = state.probe;
  return true;
}

/// The one of those factories; an old one is let go.
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

/// Tells all who work with shared actors; what they know already is told again, since deaths are rare.
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
    changed = revive_admission(self) || changed;
    changed = revive_observers(self) || changed;
    for (std::size_t i = 0; i < state.kept.size(); ++i) changed = revive_thread(self, i) || changed;
    state.dead.clear();  // those that nobody keeps any more
    if (changed) introduce(state);
  } catch (const std::exception& error) {
    // Most likely out of memory: what could not be done now is done in the next round.
    spdlog::critical("supervisor: cannot replace a dead actor yet: {}", error.what());
    state.again->expires_after(pause);
  }
}

/// The old ones are let go: each ends when nobody is left who would still ask it.
void replace_pools(self_pointer self, std::vector<pool_actor> fresh) {
  auto& state = self->state;
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    auto& kept = state.kept[i];
    self->demonitor(kept.pool.address());
    // They know each other, and would never be without a friend.
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
  // First what may fail: then all stays as it was.
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
  const auto end = [](const auto& each) { caf::anon_send_exit(each, caf::exit_reason::user_shutdown); };
  for (const auto& each : kept) {
    end(each.registry);
    end(each.pool);
    end(each.auth);
    end(each.metrics);
  }
  if (probe) end(probe);
  if (kept.empty()) return;
  end(kept.front().admission);
  for (const auto& each : kept.front().observers) end(each);
}

std::vector<shared_actors> spawn_shared(const actor_factories& factories) {
  std::vector<shared_actors> all;
  const auto admission = factories.admission();
  std::vector<observer_actor> observers;
  for (const auto& each : factories.threads) observers.push_back(each.observer());
  for (const auto& each : factories.threads) {
    auto auth = each.auth();
    auto pool = each.pool(each.adapter);
    auto registry = each.registry(pool);
    all.push_back({std::move(auth), std::move(registry), std::move(pool), admission, factories.upstreams,
                   each.metrics(), observers});
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
  self->monitor(state.kept.front().admission);
  for (const auto& each : state.kept) {
    self->monitor(each.auth);
    self->monitor(each.pool);
    self->monitor(each.registry);
    self->monitor(each.metrics);
  }
  for (const auto& each : state.kept.front().observers) self->monitor(each);
  replace_probe(self);
  self->set_down_handler([self, home](caf::down_msg& down) {
    const bool first = self->state.dead.empty();
    self->state.dead.insert(down.source.id());
    if (!first) return;  // its round is due already
    if (home->timers().now() - self->state.last_replaced >= pause) {
      replace_dead(self);
    } else {
      self->state.again->expires_after(pause);
    }
  });
  introduce(state);
  return {
      // With this actor all others would end: it survives whatever its handlers throw.
      [self](get_shared_actors) -> caf::result<all_shared_actors> {
        all_shared_actors all;
        const bool copied =
            survives(self->name(), "telling whom it keeps", [&] { all.by_thread = self->state.kept; });
        if (!copied) return to_error({errc::internal, {}, "the supervisor is out of memory", {}});
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
