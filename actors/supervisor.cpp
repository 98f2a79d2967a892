#include "actors/supervisor.hpp"

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
  auto& kept = self->state.kept[thread];
  bool changed = revive(self, thread, kept.auth, "auth", factories.auth);
  if (changed && self->state.keys) self->send(kept.auth, keys_changed{self->state.keys});
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

/// Tells all who work with shared actors; what they know already is told again, since deaths are rare.
void introduce(const supervisor_state& state) {
  std::vector<registry_actor> registries;
  for (const auto& each : state.kept) registries.push_back(each.registry);
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    pool_peers others;
    for (std::size_t k = 1; k < state.kept.size(); ++k) {
      others.others.push_back(state.kept[(i + k) % state.kept.size()].pool);
    }
    caf::anon_send(state.kept[i].pool, std::move(others));
    caf::anon_send(state.kept[i].registry,
                   registry_peers{registries, state.kept[i].pool, state.kept[i].upstreams});
    caf::anon_send(state.acceptors[i], state.kept[i]);
  }
}

void replace_dead(self_pointer self, io_worker* home) {
  auto& state = self->state;
  state.last_replaced = home->timers().now();
  bool changed = false;
  try {
    changed = revive_admission(self);
    for (std::size_t i = 0; i < state.kept.size(); ++i) changed = revive_thread(self, i) || changed;
    state.dead.clear();  // those that nobody keeps any more
    if (changed) introduce(state);
  } catch (const std::exception& error) {
    // Most likely out of memory: what could not be done now is done in the next round.
    spdlog::critical("supervisor: cannot replace a dead actor yet: {}", error.what());
    state.again->expires_after(pause);
  }
}

/// All pools anew. The old ones are let go: each ends when nobody is left who would still ask it.
void replace_pools(self_pointer self) {
  auto& state = self->state;
  for (std::size_t i = 0; i < state.kept.size(); ++i) {
    auto& kept = state.kept[i];
    self->demonitor(kept.pool.address());
    // They know each other, and would never be without a friend.
    self->send(kept.pool, pool_peers{});
    const auto& factories = state.factories->threads[i];
    kept.pool = factories.pool(factories.adapter);
    kept.upstreams = state.factories->upstreams;
    self->monitor(kept.pool);
  }
  introduce(state);
}

void reconfigure(self_pointer self, reconfigured& news) {
  auto& state = self->state;
  state.factories = std::move(news.factories);
  self->send(state.kept.front().admission, limits_changed{news.limits});
  for (const auto& each : state.kept) self->send(each.registry, names_changed{news.names});
  if (news.new_pools) replace_pools(self);
}

}  // namespace

supervisor_state::~supervisor_state() {
  for (const auto& each : kept) {
    caf::anon_send_exit(each.registry, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(each.pool, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(each.auth, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(each.admission, caf::exit_reason::user_shutdown);
  }
}

std::vector<shared_actors> spawn_shared(const actor_factories& factories) {
  std::vector<shared_actors> all;
  const auto admission = factories.admission();
  for (const auto& each : factories.threads) {
    auto auth = each.auth();
    auto pool = each.pool(each.adapter);
    auto registry = each.registry(pool);
    all.push_back({std::move(auth), std::move(registry), std::move(pool), admission, factories.upstreams});
  }
  return all;
}

supervisor_actor::behavior_type supervisor(self_pointer self, io_worker* home,
                                           std::shared_ptr<const actor_factories> factories,
                                           std::vector<shared_actors> kept,
                                           std::vector<acceptor_actor> acceptors) {
  auto& state = self->state;
  state.factories = std::move(factories);
  state.kept = std::move(kept);
  state.acceptors = std::move(acceptors);
  state.again = std::make_unique<deadline>(
      home->timers(), [self, home] { enter(self, [self, home] { replace_dead(self, home); }); });
  self->monitor(state.kept.front().admission);
  for (const auto& each : state.kept) {
    self->monitor(each.auth);
    self->monitor(each.pool);
    self->monitor(each.registry);
  }
  self->set_down_handler([self, home](caf::down_msg& down) {
    const bool first = self->state.dead.empty();
    self->state.dead.insert(down.source.id());
    if (!first) return;  // its round is due already
    if (home->timers().now() - self->state.last_replaced >= pause) {
      replace_dead(self, home);
    } else {
      self->state.again->expires_after(pause);
    }
  });
  introduce(state);
  return {
      [self](get_shared_actors) { return all_shared_actors{self->state.kept}; },
      [self](keys_changed& news) {
        self->state.keys = std::move(news.keys);
        for (const auto& each : self->state.kept) self->send(each.auth, keys_changed{self->state.keys});
      },
      [self](reconfigured& news) { reconfigure(self, news); },
  };
}

}  // namespace llm_proxy
