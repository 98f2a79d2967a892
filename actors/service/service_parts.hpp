// What a running service consists of. Only the sources of the service include this, and tests that look
// inside.
#pragma once

#include "actors/access/admission.hpp"
#include "actors/messages/messages.hpp"
#include "actors/messages/service_health.hpp"
#include "actors/service/proxy.hpp"
#include "actors/session/session_trace.hpp"
#include "actors/telemetry/live_sessions.hpp"
#include "actors/telemetry/metrics.hpp"
#include "http/tls/server_tls.hpp"
#include "http/tls/upstream_tls.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace llm_proxy {

/// Members are destroyed from the last to the first, so the actor system ends before the members above it, to
/// which its actors refer.
struct service_parts {
  caf::actor_system_config config;
  settings values;  ///< in effect
  fake_author author;
  factory_editor edit;
  std::span<const route> own_routes;
  std::string commit;
  std::string host;
  std::uint16_t port = 0;
  std::string keys_file;
  key_table_ptr keys;
  tls_files listener_files;
  std::shared_ptr<upstream_tls> litellm_certificates;  ///< null if no upstream is https
  std::shared_ptr<upstream_table> upstreams;

  // What is counted, and the state that threads share.
  std::shared_ptr<metric_families> families = std::make_shared<metric_families>();
  std::shared_ptr<scrape_gate> scrapes = std::make_shared<scrape_gate>();
  std::shared_ptr<std::atomic<std::size_t>> in_flight = std::make_shared<std::atomic<std::size_t>>(0);
  std::shared_ptr<actor_counts> actors_counted = std::make_shared<actor_counts>();
  std::shared_ptr<admission_gauges> gauges = std::make_shared<admission_gauges>();
  std::shared_ptr<service_health> health = std::make_shared<service_health>();
  std::shared_ptr<connection_counts> connections;
  std::vector<std::shared_ptr<thread_metrics>> counted;  ///< by thread
  std::vector<std::shared_ptr<live_sessions>> live;      ///< by thread

  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<const session_tracing> tracing;  ///< null if tracing is off
  supervisor_actor supervisor;                     ///< keeps the shared actors
  std::vector<acceptor_actor> acceptors;           ///< by thread
  acceptor_actor admin;                            ///< of ADMIN_PORT; null if that is not set
};

}  // namespace llm_proxy
