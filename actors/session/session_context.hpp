// What a session gets when it is spawned: the options that concern a request, and the actors and tables of
// its thread.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/messages/service_health.hpp"
#include "actors/messages/upstream_table.hpp"
#include "actors/session/retry.hpp"
#include "actors/session/session_trace.hpp"
#include "actors/telemetry/live_sessions.hpp"
#include "http/answer/litellm_error.hpp"
#include "http/request/route.hpp"
#include "http/system/resident_memory.hpp"
#include "http/telemetry/thread_metrics.hpp"
#include "http/wire/caller_headers.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace llm_proxy {

struct session_options {
  std::string version;
  bool ui = true;  ///< the web pages are served
  std::size_t max_body_bytes = 0;
  bool websockets = true;
  std::size_t websocket_memory = 0;                   ///< bytes kept per WebSocket
  std::chrono::milliseconds websocket_lifetime{0};    ///< 0 = no limit
  std::chrono::milliseconds client_write_timeout{0};  ///< of a WebSocket
  std::string upstream_key;                           ///< removed from the text of upstream's errors
  bool limits_all = false;  ///< MAX_CONCURRENT_REQUESTS is set: every request needs a slot
  std::vector<std::string> passthrough_paths;
  std::vector<std::string> cors_origins;  ///< as read_origin() returns them
  std::span<const route> own_routes;
  error_wording wording = error_wording::normalized;
  bool account_usage = false;
  caller_header told_as = caller_header::none;  ///< CALLER_TO_LITELLM
  std::chrono::milliseconds first_byte_timeout{0};
  std::chrono::milliseconds stream_commit_after{0};  ///< 0 = never before the first event
  std::chrono::milliseconds idle_timeout{0};
  std::chrono::milliseconds request_timeout{0};
  unsigned retries = 0;
  bool metrics_public = false;  ///< /metrics needs no key
  bool stream_timing = false;   ///< a stream ends with a comment that has the value of server-timing
  /// The value of HOST while the service accepts the default key, which everybody knows; otherwise nullopt.
  /// It is used to refuse requests that are addressed to another machine than this one.
  std::optional<std::string> local_host;
};

/// What all sessions of a thread share.
struct session_context {
  session_options options;
  io_worker* home = nullptr;
  auth_actor auth;
  registry_actor registry;
  pool_actor pool;
  admission_actor admission;                            ///< asked if a limit is set
  std::shared_ptr<memory_ceiling> memory;               ///< of the process; null if there is none
  std::shared_ptr<std::atomic<std::size_t>> in_flight;  ///< requests past the key check, on all threads
  std::shared_ptr<service_health> health = std::make_shared<service_health>();
  std::shared_ptr<upstream_table> upstreams;                                ///< null in mock mode
  std::shared_ptr<retry_budget> budget;                                     ///< used if retries > 0
  std::shared_ptr<live_sessions> live = std::make_shared<live_sessions>();  ///< of this thread
  std::vector<observer_actor> observers;                                    ///< of all threads
  probe_actor probe;      ///< null with fewer than two upstreams
  metrics_actor metrics;  ///< of the thread
  std::shared_ptr<thread_metrics> counted = std::make_shared<thread_metrics>();  ///< what that actor shows
  std::shared_ptr<const session_tracing> tracing;                                ///< null if tracing is off
  bool admin = false;  ///< the sessions of ADMIN_PORT serve only health and metrics, without a key
};

}  // namespace llm_proxy
