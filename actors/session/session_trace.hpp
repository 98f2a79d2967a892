// The part of a request in its caller's trace: our span lies between the caller's and LiteLLM's.
#pragma once

#include "actors/messages/messages.hpp"
#include "http/telemetry/span_queue.hpp"
#include "http/wire/trace_context.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace llm_proxy {

/// What all sessions share if tracing is on.
struct session_tracing {
  trace_sampler sampler;
  std::shared_ptr<span_queue> finished;
  exporter_actor exporter;
};

/// The span of one request, while it lasts.
struct request_trace {
  explicit request_trace(const begun_span& begun) : span{begun} {}

  begun_span span;
  std::string state;                            ///< the caller's tracestate, if the span will be exported
  std::string provider;                         ///< of its model, once known
  std::chrono::system_clock::time_point began;  ///< in wall-clock time, which other services share
};

/// Begins the span of a request with these headers, which arrived `passed` ago.
std::unique_ptr<request_trace> begin_trace(const header_list& headers, const trace_sampler& sampler,
                                           std::chrono::steady_clock::duration passed);

}  // namespace llm_proxy
