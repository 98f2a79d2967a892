// OpenTelemetry's protocol in its JSON encoding
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): spans of requests, with the attributes
// of its conventions for GenAI (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/). A span has
// names and numbers, but never the text of a request or an answer.
#pragma once

#include "http/dialect/token_usage.hpp"
#include "http/wire/trace_context.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

struct span_event {
  std::string_view name;  ///< static
  std::int64_t at = 0;    ///< nanoseconds since 1970
};

/// A request that has ended. Empty texts are not exported.
struct span_record {
  trace_context context;
  std::string parent_span_id;
  std::string trace_state;
  std::int64_t began = 0;  ///< nanoseconds since 1970
  std::int64_t ended = 0;
  std::string method;
  std::string_view route;      ///< static: the path pattern of its route
  std::string_view operation;  ///< static: gen_ai.operation.name
  std::string_view verdict;    ///< static
  bool complete = false;       ///< whether the verdict is a success
  unsigned status = 0;
  std::string model;
  std::string response_model;
  std::string provider;  ///< as LiteLLM names it
  std::string key;       ///< the name of the key
  std::string request_id;
  std::string server;  ///< host:port of the upstream
  std::optional<token_usage> usage;
  unsigned retries = 0;
  bool stream = false;
  std::array<span_event, 4> events{};  ///< in the order of time; those without a name are ignored
};

/// The service that sends the spans.
struct otlp_resource {
  std::vector<std::pair<std::string, std::string>> attributes;
  std::string version;  ///< of this program
};

/// Returns the body of a POST to /v1/traces.
std::string otlp_traces(const otlp_resource& from, std::span<const span_record> spans);

/// Returns how many spans the collector rejected, according to its answer.
std::uint64_t rejected_spans(std::string_view answer);

}  // namespace llm_proxy
