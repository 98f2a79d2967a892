#include "adapters/pool.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<pool_actor, pool_state>;

pool_state::member hire(self_pointer self, const adapter_factory& spawn_adapter) {
  auto added = std::make_shared<pool_state::employment>(spawn_adapter());
  self->monitor(added->adapter);
  return added;
}

}  // namespace

std::optional<adapter_lease> pool_state::lease(bool unlimited) {
  member best;
  std::size_t best_load = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto& candidate = members[(next + i) % members.size()];
    const auto load = candidate->load.load(std::memory_order_relaxed);
    if (!unlimited && options.max_concurrent > 0 && load >= options.max_concurrent) continue;
    if (best == nullptr || load < best_load) {
      best = candidate;
      best_load = load;
    }
  }
  if (best == nullptr) return std::nullopt;
  const auto& adapter = best->adapter;
  if (unlimited) return adapter_lease{adapter, best};
  next = (next + 1) % members.size();
  best->load.fetch_add(1, std::memory_order_relaxed);
  std::shared_ptr<const void> slot{
      best.get(), [held = best](const void*) { held->load.fetch_sub(1, std::memory_order_relaxed); }};
  return adapter_lease{adapter, std::move(slot)};
}

pool_actor::behavior_type pool(self_pointer self, pool_options options, adapter_factory spawn_adapter) {
  auto& state = self->state;
  state.options = options;
  for (std::size_t i = 0; i < std::max<std::size_t>(options.adapters, 1); ++i) {
    state.members.push_back(hire(self, spawn_adapter));
  }
  self->set_down_handler([self, spawn_adapter](caf::down_msg& down) {
    for (auto& member : self->state.members) {
      if (member->adapter != down.source) continue;
      spdlog::error("pool: adapter {} died ({}) and is replaced", down.source.id(),
                    caf::to_string(down.reason));
      member = hire(self, spawn_adapter);
      return;
    }
  });
  return {
      [self](const lease_adapter& request) -> caf::result<adapter_lease> {
        if (auto lease = self->state.lease(request.unlimited)) return std::move(*lease);
        if (request.asked < self->state.others.size()) {
          return self->delegate(self->state.others.front(), lease_adapter{request.asked + 1, false});
        }
        return to_error(
            {errc::overloaded, "All adapters are at their limit of concurrent requests.", {}, {}});
      },
      [self](pool_peers& peers) { self->state.others = std::move(peers.others); },
  };
}

}  // namespace llm_proxy
