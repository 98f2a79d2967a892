// How the actors that sessions share are spawned. A new kind of them gets a row here and one in
// supervisor.cpp.
#pragma once

#include "actors/service/service_parts.hpp"
#include "actors/service/supervisor.hpp"
#include "config/settings.hpp"

#include <memory>

namespace llm_proxy {

/// Returns factories for every shared actor of `parts` under `values`, changed by the editor that the service
/// was given. `tls` is for https upstreams. `parts` must outlive the factories. Throws std::runtime_error if
/// an upstream's address is not http(s).
std::shared_ptr<const actor_factories> make_factories(service_parts& parts, const settings& values,
                                                      const std::shared_ptr<upstream_tls>& tls);

}  // namespace llm_proxy
