#include "actors/session/session_trace.hpp"

#include <cstddef>

namespace llm_proxy {

namespace {

/// A longer tracestate may be dropped (Trace Context §3.3.1.5). It is not exported with the span, but the
/// header is still passed on.
constexpr std::size_t longest_state = 512;

}  // namespace

std::unique_ptr<request_trace> begin_trace(const header_list& headers, const trace_sampler& sampler,
                                           std::chrono::steady_clock::duration passed) {
  auto trace = std::make_unique<request_trace>(begin_span(headers, sampler));
  if (!trace->span.own.sampled) return trace;
  trace->began = std::chrono::system_clock::now() -
                 std::chrono::duration_cast<std::chrono::system_clock::duration>(passed);
  if (!trace->span.parent) return trace;
  for (const auto field : headers) {
    if (!iequals(field.name, "tracestate")) continue;
    trace->state.append(trace->state.empty() ? "" : ",").append(field.value);
  }
  if (trace->state.size() > longest_state) trace->state.clear();
  return trace;
}

}  // namespace llm_proxy
