#include "actors/models/model_registry.hpp"

#include "http/dialect/claude_code_models.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<registry_actor, model_registry_state>;

/// Makes the list for clients from upstream's, and sends it to the other registries.
void publish(self_pointer self) {
  auto& state = self->state;
  state.known = state.with_aliases(state.upstream);
  for (const auto& peer : state.peers) {
    if (peer != self) self->send(peer, models_changed{state.known});
  }
}

/// Adds those models of `more` whose ids are not in `list`. Each id must be unique, because pages are
/// requested by id. Does nothing if there is no list.
void append_unlisted(anthropic_list& list, std::vector<anthropic_model> more) {
  if (!list) return;
  auto all = *list;
  for (auto& each : more) {
    const auto is_same = [&](const anthropic_model& other) { return other.id == each.id; };
    if (std::none_of(all.begin(), all.end(), is_same)) all.push_back(std::move(each));
  }
  list = std::make_shared<const std::vector<anthropic_model>>(std::move(all));
}

/// Ends a fetch. The next one starts after `pause`, or at once if this one asked a pool that has been
/// replaced meanwhile.
void end_fetch(model_registry_state& state, std::chrono::milliseconds pause) {
  state.fetching = false;
  state.refresh->expires_after(std::exchange(state.outdated, false) ? std::chrono::milliseconds{1} : pause);
}

void take_lists(self_pointer self, models lists) {
  auto& state = self->state;
  end_fetch(state, lists.incomplete ? state.options.retry_every : state.options.refresh_every);
  if (lists.incomplete) {
    if (!lists.anthropic) lists.anthropic = state.upstream.anthropic;
    if (!lists.claude_code) lists.claude_code = state.upstream.claude_code;
  }
  state.upstream = std::move(lists);
  publish(self);
  state.options.health->usable_upstreams = 1;
  for (auto& promise : std::exchange(state.waiting, {})) promise.deliver(state.known);
}

void fetch_failed(self_pointer self, const caf::error& error) {
  auto& state = self->state;
  end_fetch(state, state.options.retry_every);
  const auto reason = to_failure(error);
  // Any other failure means that upstream answered, so it is reachable. A lack of resources in this process
  // says nothing about upstream.
  const bool silent = reason.code == errc::upstream_unreachable || reason.code == errc::upstream_timeout;
  if (reason.code != errc::out_of_resources) state.options.health->usable_upstreams = silent ? 0 : 1;
  spdlog::warn("model list: {} ({}); {}", describe(reason.code).name, reason.detail,
               state.known.list ? "the last one is served on" : "there is none yet");
  for (auto& promise : std::exchange(state.waiting, {})) promise.deliver(error);
}

/// Asks an upstream that is not in `tried`. If it fails, asks another one. Upstreams that were left out are
/// asked last.
void ask(self_pointer self, upstream_set tried) {
  const auto failed = [self](caf::error& error) { fetch_failed(self, error); };
  // There is no timeout here because the adapter has its own.
  self->request(self->state.pool, caf::infinite,
                lease_adapter{.unlimited = true, .tried = tried, .last_resort = tried != 0})
      .then(
          [self, failed, tried](adapter_lease& lease) {
            self->request(lease.adapter, caf::infinite, get_models{})
                .then([self, slot = lease.slot](models& answer) { take_lists(self, std::move(answer)); },
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

/// Whether an alias stands for any of several names.
bool is_pattern(std::string_view alias) {
  return alias.find('*') != std::string_view::npos;
}

/// Whether `name` is one of the names of the alias, whose * stands for any characters.
bool fits_pattern(std::string_view alias, std::string_view name) {
  const auto star = alias.find('*');
  const auto begin = alias.substr(0, star);
  const auto end = alias.substr(star + 1);
  return name.size() >= begin.size() + end.size() && name.starts_with(begin) && name.ends_with(end);
}

}  // namespace

model_registry_state::~model_registry_state() {
  // Requests that wait for the first list must not wait forever.
  for (auto& promise : std::exchange(waiting, {})) {
    promise.deliver(to_error({.code = errc::internal, .detail = "the model registry died"}));
  }
}

resolved_model model_registry_state::resolve(const std::string& model) const {
  const auto& wanted = model.empty() ? options.names->default_model : model;
  // Claude Code uses an id of its own for an alias. LiteLLM would not know that id.
  const auto behind = name_behind_claude_code_id(wanted);
  for (const auto& [alias, id] : options.names->aliases) {
    if (alias == wanted || alias == behind) return {id};
  }
  for (const auto& [alias, id] : options.names->aliases) {
    if (is_pattern(alias) && fits_pattern(alias, wanted)) return {id};
  }
  return {wanted};
}

std::string model_registry_state::provider_of(const std::string& id) const {
  if (!known.list) return {};
  const auto& list = *known.list;
  const auto at = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.id == id; });
  return at != list.end() ? at->provider : std::string{};
}

models model_registry_state::with_aliases(const models& from) const {
  if (options.names->aliases.empty()) return from;
  auto all = *from.list;
  auto out = from;
  const auto find = [&all](const std::string& id) {
    return std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.id == id; });
  };
  std::vector<anthropic_model> anthropic, claude_code;
  for (const auto& [alias, id] : options.names->aliases) {
    if (is_pattern(alias) || find(alias) != all.end()) continue;
    const auto target = find(id);
    auto entry = target != all.end() ? *target : model_entry{};
    entry.id = entry.name = alias;
    entry.stands_for = id;
    anthropic.push_back(make_anthropic_model(entry));
    claude_code.push_back(make_claude_code_model(entry));
    all.push_back(std::move(entry));
  }
  out.list = std::make_shared<const std::vector<model_entry>>(std::move(all));
  append_unlisted(out.anthropic, std::move(anthropic));
  append_unlisted(out.claude_code, std::move(claude_code));
  return out;
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
        auto& mine = self->state;
        if (mine.known.list) return mine.known;
        if (!mine.peers.empty() && mine.peers.front() != self)
          return self->delegate(mine.peers.front(), request);
        auto promise = self->make_response_promise<models>();
        mine.waiting.push_back(promise);
        fetch(self);
        return promise;
      },
      [self](models_changed& news) {
        auto& mine = self->state;
        // The registry that fetches accepts another one's list only while it has none, which is so after it
        // was replaced.
        if (mine.known.list && !mine.peers.empty() && mine.peers.front() == self) return;
        mine.known = std::move(news.lists);
        for (auto& promise : std::exchange(mine.waiting, {})) promise.deliver(mine.known);
      },
      [self](names_changed& news) {
        auto& mine = self->state;
        mine.options.names = std::move(news.names);
        if (mine.peers.empty() || mine.peers.front() != self) return;
        // If this registry has no list from upstream (it got one with aliases from another registry), it
        // fetches one.
        if (mine.upstream.list) {
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
        auto& mine = self->state;
        mine.peers = std::move(peers.all);
        if (peers.pool) {
          mine.outdated = mine.fetching && peers.pool != mine.pool;
          mine.pool = std::move(peers.pool);
          mine.upstreams = std::move(peers.upstreams);
        }
        if (mine.peers.front() == self) {
          fetch(self);
        } else if (mine.known.list) {
          self->send(mine.peers.front(), models_changed{mine.known});  // it may be new while upstream is down
        }
      },
  };
}

}  // namespace llm_proxy
