// Makes the options of each part of the service from the settings. The functions are pure, except that they
// ask the machine for its limit of descriptors and for the memory in use.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/service/acceptor.hpp"
#include "actors/session/session_context.hpp"
#include "adapters/litellm/litellm.hpp"
#include "config/settings.hpp"
#include "http/system/resident_memory.hpp"
#include "http/tls/upstream_tls.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace llm_proxy {

/// Returns one entry for each upstream, and no entry in mock mode. `tls` is for https upstreams. Throws
/// std::runtime_error if an address is not http(s).
std::vector<litellm_options> make_upstreams(const settings& values, const std::shared_ptr<upstream_tls>& tls);

connection_timeouts client_timeouts(const settings& values);

/// `own_routes` are rows that are added behind those of http/request/route.cpp.
session_options make_session_options(const settings& values, std::span<const route> own_routes);

/// Returns how many client connections may be open at once: MAX_CONNECTIONS, or what the limit of descriptors
/// allows.
std::size_t connection_limit(const settings& values);

std::shared_ptr<const model_names> make_names(const settings& values);

admission_options make_limits(const settings& values);

/// Returns null if MAX_MEMORY is 0. Throws std::runtime_error if the memory in use cannot be read, because
/// the option would then have no effect.
std::shared_ptr<memory_ceiling> make_ceiling(const settings& values);

/// Returns whether adapter pools that were made for `a` can also be used for `b`.
bool same_pools(const settings& a, const settings& b);

}  // namespace llm_proxy
