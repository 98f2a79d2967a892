// Knows the models: which id a name stands for, and the list that clients may see. One per I/O thread,
// spawned by proxy.cpp for the process's life. The first one fetches the list (at start, then every 5
// minutes) and broadcasts it; a list once known is served until a newer one comes, whatever upstream does
// meanwhile.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/messages/service_health.hpp"
#include "actors/runtime/pinned.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

struct model_registry_options {
  std::shared_ptr<const model_names> names = std::make_shared<const model_names>();
  std::chrono::milliseconds refresh_every{std::chrono::minutes{5}};
  std::chrono::milliseconds retry_every{std::chrono::seconds{10}};              ///< after a fetch that failed
  std::shared_ptr<service_health> health = std::make_shared<service_health>();  ///< told of each fetch
};

struct model_registry_state {
  static inline const char* name = "model_registry";

  model_registry_state() = default;
  ~model_registry_state();

  resolved_model resolve(const std::string& model) const;
  /// Empty: the list does not say.
  std::string provider_of(const std::string& id) const;
  /// Upstream's lists and the aliases behind them, each with what is known of its model.
  models with_aliases(const models& upstream) const;

  model_registry_options options;
  models known;     // its list is null until the first fetch succeeded
  models upstream;  // the same without aliases; of the one that fetched it
  std::vector<registry_actor> peers;

  // Of the one that fetches:
  pool_actor pool;
  std::shared_ptr<const upstream_table> upstreams;  // of the pool; null: there is one
  bool fetching = false;
  bool outdated = false;  // what is being fetched comes from a pool of before
  std::vector<caf::typed_response_promise<models>> waiting;  // for the first list
  std::unique_ptr<deadline> refresh;
};

/// `pool`: where the first registry gets its adapters from. Fetching starts with registry_peers.
registry_actor::behavior_type model_registry(pinned_pointer<registry_actor, model_registry_state> self,
                                             io_worker* home, model_registry_options options,
                                             pool_actor pool);

}  // namespace llm_proxy
