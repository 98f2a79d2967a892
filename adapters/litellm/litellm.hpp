// Speaks HTTP/1.1 with the LiteLLM proxy. A pool spawns its adapters; an I/O thread may have several. Each
// keeps its own connections, so that its limit of requests is also its limit of connections.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/telemetry/thread_metrics.hpp"
#include "http/upstream/upstream_call.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace llm_proxy {

struct litellm_options {
  upstream_address address;
  std::shared_ptr<upstream_tls> tls;  ///< for https; null for the system's authorities
  std::string api_key;                ///< sent as Authorization: Bearer; if empty, none is sent
  std::vector<std::string> forward_headers;
  std::chrono::milliseconds connect_timeout{5000};
  std::shared_ptr<thread_metrics> counted = nullptr;  ///< of the adapter's thread; null to count nothing
  std::chrono::milliseconds models_timeout{10000};    ///< for the model list, including /model/info
};

/// Returns the request line and the headers for upstream (RFC 9112 §3): those headers of the client that an
/// allow-list names, and our own.
std::string upstream_head(const litellm_options& options, const upstream_request& request);

class litellm_exchange;
class litellm_model_fetch;

struct litellm_state {
  static inline const char* name = "litellm";

  litellm_state();
  ~litellm_state();

  std::unique_ptr<upstream_connections> upstream;
  std::unordered_map<std::uint64_t, std::unique_ptr<litellm_exchange>> exchanges;
  std::vector<std::unique_ptr<litellm_model_fetch>> fetches;
};

adapter_actor::behavior_type litellm(pinned_pointer<adapter_actor, litellm_state> self, io_worker* home,
                                     litellm_options options);

}  // namespace llm_proxy
