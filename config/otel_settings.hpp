// OpenTelemetry's own variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): what of them cannot be
// followed here is said and ignored, as its specification has it, since platforms set them for all their
// services alike.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Adds a sentence to the warnings for each value that cannot be followed.
void check_otel(parsed_settings& parsed);

/// Whether traces are continued and exported.
bool traces_on(const settings& values);

/// `name=value` pairs, comma-separated, the values percent-encoded (W3C Baggage). Invalid pairs are
/// left out; `whole` is false when there are any.
struct otel_pairs {
  std::vector<std::pair<std::string, std::string>> pairs;
  bool whole = true;
};
otel_pairs read_otel_pairs(std::string_view list);

/// Those pairs of OTEL_EXPORTER_OTLP_HEADERS that a request can carry.
otel_pairs otel_headers(const settings& values);

}  // namespace llm_proxy
