// W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to, and whether
// that trace is recorded.
#pragma once

#include "http/wire/message.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// A span's place in its trace, spelled as on the wire: lower-case hexadecimal, never all zeros.
struct trace_context {
  std::array<char, 32> trace{};
  std::array<char, 16> span{};
  bool sampled = false;  ///< the only flag of version 00

  std::string_view trace_id() const { return {trace.data(), trace.size()}; }
  std::string_view span_id() const { return {span.data(), span.size()}; }
};

/// Reads a traceparent value (§3.2): version 00 exactly, later ones by their first four fields. Returns
/// nullopt if the value is invalid; then a tracestate beside it must be ignored too.
std::optional<trace_context> parse_traceparent(std::string_view value);

/// Returns `context` as a traceparent value of version 00.
std::string format_traceparent(const trace_context& context);

/// Decides which new spans are recorded, as OTEL_TRACES_SAMPLER says.
struct trace_sampler {
  enum class root : std::uint8_t { always_on, always_off, ratio };

  root how = root::always_on;
  bool parent_based = true;  ///< if there is a parent, its flag decides
  double ratio = 1;          ///< share of all traces; every service with the same ratio keeps the same ones

  bool samples(const trace_context* parent, std::string_view trace_id) const;
};

/// A new span.
struct begun_span {
  trace_context own;
  std::optional<trace_context> parent;  ///< nullopt if the span begins a new trace
};

/// Continues the trace that the headers of a request name, or begins one.
begun_span begin_span(const header_list& headers, const trace_sampler& sampler);

}  // namespace llm_proxy
