// Spawns the actor that exports spans, as the OTEL_* options say.
#pragma once

#include "actors/runtime/io_worker.hpp"
#include "actors/session/session_trace.hpp"
#include "config/settings.hpp"

#include <caf/actor_system.hpp>

#include <memory>

namespace llm_proxy {

/// Throws std::runtime_error with a sentence for the operator if the collector's address or its certificate
/// authorities cannot be used.
void check_tracing(const settings& values);

/// Spawns the exporter on `home`. Returns null if traces are off.
std::shared_ptr<const session_tracing> start_tracing(const settings& values, caf::actor_system& system,
                                                     io_worker& home);

}  // namespace llm_proxy
