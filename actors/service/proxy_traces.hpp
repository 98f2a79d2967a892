// From the OTEL_* options to the actor that exports spans.
#pragma once

#include "actors/runtime/io_worker.hpp"
#include "actors/session/session_trace.hpp"
#include "config/settings.hpp"

#include <caf/actor_system.hpp>

#include <memory>

namespace llm_proxy {

/// Throws std::runtime_error with a sentence for the operator when the collector's certificate authorities
/// cannot be used.
void check_tracing(const settings& values);

/// Spawns the exporter on `home`; null where traces are off.
std::shared_ptr<const session_tracing> start_tracing(const settings& values, caf::actor_system& system,
                                                     io_worker& home);

}  // namespace llm_proxy
