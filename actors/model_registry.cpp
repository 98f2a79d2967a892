#include "actors/model_registry.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<registry_actor, model_registry_state>;

/// Makes the clients' list of upstream's, for all threads.
void publish(self_pointer self) {
  auto& state = self->state;
  state.list = state.with_aliases(state.upstream_list);
  for (const auto& peer : state.peers) {
    if (peer != self) self->send(peer, models_changed{state.list});
  }
}

/// `pause`: until the next fetch; none if this one asked a pool that has been replaced meanwhile.
void end_fetch(model_registry_state& state, std::chrono::milliseconds pause) {
  state.fetching = false;
  state.refresh->expires_after(std::exchange(state.outdated, false) ? std::chrono::milliseconds{1} : pause);
}

void take_list(self_pointer self, const model_list& list) {
  auto& state = self->state;
  end_fetch(state, state.options.refresh_every);
  state.upstream_list = list;
  publish(self);
  state.options.health->usable_upstreams = 1;
  for (auto& promise : std::exchange(state.waiting, {})) promise.deliver(models{state.list});
}

void fetch_failed(self_pointer self, const caf::error& error) {
  auto& state = self->state;
  end_fetch(state, state.options.retry_every);
  const auto reason = to_failure(error);
  // Any other failure is an answer: upstream is there. One of ours says nothing about it.
  const bool silent = reason.code == errc::upstream_unreachable || reason.code == errc::upstream_timeout;
  if (reason.code != errc::out_of_resources) state.options.health->usable_upstreams = silent ? 0 : 1;
  spdlog::warn("model list: {} ({}); {}", describe(reason.code).name, reason.detail,
               state.list ? "the last one is served on" : "there is none yet");
  for (auto& promise : std::exchange(state.waiting, {})) promise.deliver(error);
}

/// Asks an upstream that is not in `tried`, and when it fails, another one; those that were left out come
/// last.
void ask(self_pointer self, upstream_set tried) {
  const auto failed = [self](caf::error& error) { fetch_failed(self, error); };
  // No timeout here: the adapter answers within its own.
  self->request(self->state.pool, caf::infinite,
                lease_adapter{.unlimited = true, .tried = tried, .last_resort = tried != 0})
      .then(
          [self, failed, tried](adapter_lease& lease) {
            self->request(lease.adapter, caf::infinite, get_models{})
                .then([self, slot = lease.slot](models& answer) { take_list(self, answer.list); },
                      [self, failed, now_tried = tried | bit_of(lease.upstream)](caf::error& error) {
                        const auto& upstreams = self->state.upstreams;
                        const bool ours = to_failure(error).code == errc::out_of_resources;
                        if (!ours && upstreams && upstreams->any_but(now_tried)) {
                          ask(self, now_tried);
                        } else {
                          failed(error);
                        }
                      });
          },
          failed);
}

void fetch(self_pointer self) {
  if (std::exchange(self->state.fetching, true)) return;
  ask(self, 0);
}

}  // namespace

model_registry_state::~model_registry_state() {
  // Whoever waits for the first list must not wait for ever.
  for (auto& promise : std::exchange(waiting, {})) {
    promise.deliver(to_error({errc::internal, {}, "the model registry died", {}}));
  }
}

resolved_model model_registry_state::resolve(const std::string& model) const {
  const auto& wanted = model.empty() ? options.names->default_model : model;
  for (const auto& [alias, id] : options.names->aliases) {
    if (alias == wanted) return {id};
  }
  return {wanted};
}

std::string model_registry_state::provider_of(const std::string& id) const {
  if (!list) return {};
  const auto at = std::find_if(list->begin(), list->end(), [&](const auto& entry) { return entry.id == id; });
  return at != list->end() ? at->provider : std::string{};
}

model_list model_registry_state::with_aliases(const model_list& upstream) const {
  if (options.names->aliases.empty()) return upstream;
  auto all = *upstream;
  const auto find = [&all](const std::string& id) {
    return std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.id == id; });
  };
  for (const auto& [alias, id] : options.names->aliases) {
    if (find(alias) != all.end()) continue;
    const auto target = find(id);
    auto entry = target != all.end() ? *target : model_entry{};
    entry.id = entry.name = alias;
    all.push_back(std::move(entry));
  }
  return std::make_shared<const std::vector<model_entry>>(std::move(all));
}

registry_actor::behavior_type model_registry(self_pointer self, io_worker* home,
                                             model_registry_options options, pool_actor pool) {
  auto& state = self->state;
  state.options = std::move(options);
  state.pool = std::move(pool);
  state.refresh = std::make_unique<deadline>(home->timers(), [self] { self->send(self, refresh_due{}); });
  return {
      [self](const resolve_model& request) -> resolved_model {
        auto found = self->state.resolve(request.name);
        if (request.wants_provider) found.provider = self->state.provider_of(found.id);
        return found;
      },
      [self](const get_models& request) -> caf::result<models> {
        auto& known = self->state;
        if (known.list) return models{known.list};
        if (!known.peers.empty() && known.peers.front() != self)
          return self->delegate(known.peers.front(), request);
        auto promise = self->make_response_promise<models>();
        known.waiting.push_back(promise);
        fetch(self);
        return promise;
      },
      [self](models_changed& news) {
        auto& known = self->state;
        // The one that fetches takes another's list only while it has none, being new.
        if (known.list && !known.peers.empty() && known.peers.front() == self) return;
        known.list = std::move(news.list);
        for (auto& promise : std::exchange(known.waiting, {})) promise.deliver(models{known.list});
      },
      [self](names_changed& news) {
        auto& known = self->state;
        known.options.names = std::move(news.names);
        if (known.peers.empty() || known.peers.front() != self) return;
        // Without upstream's own list (it was another's, with aliases) a new one is fetched.
        if (known.upstream_list) {
          publish(self);
        } else {
          fetch(self);
        }
      },
      [self](refresh_due due) {
        const auto& peers = self->state.peers;
        if (!peers.empty() && peers.front() != self) {
          self->send(peers.front(), due);
        } else {
          fetch(self);
        }
      },
      [self](registry_peers& peers) {
        auto& known = self->state;
        known.peers = std::move(peers.all);
        if (peers.pool) {
          known.outdated = known.fetching && peers.pool != known.pool;
          known.pool = std::move(peers.pool);
          known.upstreams = std::move(peers.upstreams);
        }
        if (known.peers.front() == self) {
          fetch(self);
        } else if (known.list) {
          self->send(known.peers.front(), models_changed{known.list});  // it may be new, and upstream down
        }
      },
  };
}

}  // namespace llm_proxy
