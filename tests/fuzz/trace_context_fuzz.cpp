// Checks that a client's traceparent is either read exactly or refused, and that the one we send upstream is
// always valid by the grammar of W3C Trace Context §3.2. It has the client's trace if there is one, and our
// span. The input is the header's value.
#include "http/wire/trace_context.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

bool is_id(std::string_view text) {
  const bool hex = std::all_of(text.begin(), text.end(), [](char c) {
    return std::string_view{"0123456789abcdef"}.find(c) != std::string_view::npos;
  });
  return hex && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm_proxy;
  const std::string_view value{reinterpret_cast<const char*>(data), size};
  const auto read = parse_traceparent(value);
  if (read) {
    if (!is_id(read->trace_id()) || !is_id(read->span_id())) std::abort();
    if (value.substr(3, 32) != read->trace_id() || value.substr(36, 16) != read->span_id()) std::abort();
    const auto again = parse_traceparent(format_traceparent(*read));
    if (!again || again->trace != read->trace || again->span != read->span || again->sampled != read->sampled)
      std::abort();
  }
  header_list headers;
  headers.add("TraceParent", value);
  const auto span = begin_span(headers, trace_sampler{});
  if (span.parent.has_value() != read.has_value()) std::abort();
  if (read && (span.own.trace != read->trace || span.own.span == read->span)) std::abort();
  if (read && span.own.sampled != read->sampled) std::abort();
  if (!parse_traceparent(format_traceparent(span.own))) std::abort();
  return 0;
}
