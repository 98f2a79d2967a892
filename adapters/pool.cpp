#include "adapters/pool.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<pool_actor, pool_state>;

pool_state::member hire(self_pointer self, const adapter_factory& spawn_adapter, std::size_t upstream) {
  auto added =
      std::make_shared<pool_state::employment>(spawn_adapter(upstream), upstream, self->state.options.counts);
  self->monitor(added->adapter);
  return added;
}

}  // namespace

pool_state::member pool_state::least_loaded(bool unlimited, std::optional<std::size_t> upstream) {
  member best;
  std::size_t best_load = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto& candidate = members[(next + i) % members.size()];
    if (upstream && candidate->upstream != *upstream) continue;
    const auto load = candidate->load.load(std::memory_order_relaxed);
    if (!unlimited && options.max_concurrent > 0 && load >= options.max_concurrent) continue;
    if (best == nullptr || load < best_load) {
      best = candidate;
      best_load = load;
    }
  }
  return best;
}

std::vector<std::size_t> pool_state::draw(const lease_adapter& request, steady_clock::time_point now) {
  auto& table = *options.upstreams;
  std::vector<std::size_t> drawn, spared;  // spared: returned lately and not drawn; tried last
  std::uniform_real_distribution<double> chance;
  auto tried = request.tried;
  if (!table.any_usable_but(tried)) {
    if (request.last_resort && table.any_but(tried)) {
      for (std::size_t i = 0; i < table.size(); ++i) {
        if ((tried & bit_of(i)) == 0) drawn.push_back(i);
      }
      std::shuffle(drawn.begin(), drawn.end(), random);
      return drawn;
    }
    // Upstreams that were tried may be chosen again only if no other one is left.
    tried = 0;
  }
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto share = table.share(i, now);
    if (share <= 0 || (tried & bit_of(i)) != 0) continue;
    (share < 1 && chance(random) >= share ? spared : drawn).push_back(i);
  }
  std::shuffle(drawn.begin(), drawn.end(), random);
  const auto load = [&](std::size_t i) { return table.load(i).load(std::memory_order_relaxed); };
  if (drawn.size() > 1 && load(drawn[1]) < load(drawn[0])) std::swap(drawn[0], drawn[1]);
  drawn.insert(drawn.end(), spared.begin(), spared.end());
  return drawn;
}

std::optional<adapter_lease> pool_state::lease(const lease_adapter& request) {
  member best;
  if (!several()) {
    best = least_loaded(request.unlimited, std::nullopt);
  } else {
    for (const auto upstream : draw(request, steady_clock::now())) {
      best = least_loaded(request.unlimited, upstream);
      if (best != nullptr) break;
    }
  }
  if (best == nullptr) return std::nullopt;
  // Each lease holds its adapter, because a request may outlive the pool.
  if (request.unlimited) return adapter_lease{best->adapter, best, best->upstream};
  next = (next + 1) % members.size();
  best->load.fetch_add(1, std::memory_order_relaxed);
  const auto table = several() ? options.upstreams : nullptr;
  if (table) table->load(best->upstream).fetch_add(1, std::memory_order_relaxed);
  std::shared_ptr<const void> slot{best.get(), [held = best, table](const void*) {
                                     held->load.fetch_sub(1, std::memory_order_relaxed);
                                     if (!table) return;
                                     table->load(held->upstream).fetch_sub(1, std::memory_order_relaxed);
                                   }};
  return adapter_lease{best->adapter, std::move(slot), best->upstream};
}

pool_actor::behavior_type pool(self_pointer self, pool_options options, adapter_factory spawn_adapter) {
  auto& state = self->state;
  state.options = std::move(options);
  ++state.options.counts->pools;
  state.counted = true;
  const auto upstreams = state.several() ? state.options.upstreams->size() : 1;
  for (std::size_t i = 0; i < std::max(state.options.adapters, upstreams); ++i) {
    state.members.push_back(hire(self, spawn_adapter, i % upstreams));
  }
  self->set_down_handler([self, spawn_adapter](caf::down_msg& down) {
    for (auto& member : self->state.members) {
      if (member->adapter != down.source) continue;
      spdlog::error("pool: adapter {} died ({}) and is replaced", down.source.id(),
                    caf::to_string(down.reason));
      ++self->state.options.counts->replaced;
      member = hire(self, spawn_adapter, member->upstream);
      return;
    }
  });
  return {
      [self](const lease_adapter& request) -> caf::result<adapter_lease> {
        if (auto lease = self->state.lease(request)) return std::move(*lease);
        if (request.asked < self->state.others.size()) {
          auto passed_on = request;
          ++passed_on.asked;
          return self->delegate(self->state.others.front(), std::move(passed_on));
        }
        return to_error(
            {.code = errc::overloaded, .message = "All adapters are at their limit of concurrent requests."});
      },
      [self](pool_peers& peers) { self->state.others = std::move(peers.others); },
  };
}

}  // namespace llm_proxy
