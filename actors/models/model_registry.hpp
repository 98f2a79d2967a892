// Knows the models: which id a name stands for, and the list that clients may see. There is one per I/O
// thread; proxy.cpp spawns it, and it lives as long as the process. The first one fetches the list (at the
// start, then every 5 minutes) and sends it to the others. A list stays valid until a newer one has been
// fetched, even if upstream fails meanwhile.
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
  std::shared_ptr<service_health> health = std::make_shared<service_health>();  ///< updated after each fetch
};

struct model_registry_state {
  static inline const char* name = "model_registry";

  model_registry_state() = default;
  ~model_registry_state();

  resolved_model resolve(const std::string& model) const;
  /// Returns the provider of a model; empty if the list does not say.
  std::string provider_of(const std::string& id) const;
  /// Returns upstream's lists with the aliases appended. An alias has the properties of its model, as far as
  /// they are known.
  models with_aliases(const models& upstream) const;

  model_registry_options options;
  models known;     // its list is null until a fetch has succeeded
  models upstream;  // the same without aliases; only in the registry that fetched it
  std::vector<registry_actor> peers;

  // Only used by the registry that fetches:
  pool_actor pool;
  std::shared_ptr<const upstream_table> upstreams;  // of the pool; null if there is only one
  bool fetching = false;
  bool outdated = false;  // the fetch under way uses a pool that was replaced
  std::vector<caf::typed_response_promise<models>> waiting;  // requests that wait for the first list
  std::unique_ptr<deadline> refresh;
};

/// The first registry gets its adapters from `pool`. Fetching starts when registry_peers arrives.
registry_actor::behavior_type model_registry(pinned_pointer<registry_actor, model_registry_state> self,
                                             io_worker* home, model_registry_options options,
                                             pool_actor pool);

}  // namespace llm_proxy
