// Handles OpenTelemetry's own variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). A value that cannot be
// followed here causes a warning and is otherwise ignored, as the specification demands, because platforms
// set these variables for all their services alike.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Adds a sentence to the warnings for each value that cannot be followed.
void check_otel(parsed_settings& parsed);

/// Returns whether traces are continued and exported.
bool traces_on(const settings& values);

/// Pairs of `name=value`, comma-separated, with percent-encoded values (W3C Baggage). Invalid pairs are left
/// out, and then `whole` is false.
struct otel_pairs {
  std::vector<std::pair<std::string, std::string>> pairs;
  bool whole = true;
};
otel_pairs read_otel_pairs(std::string_view list);

/// Returns those pairs of OTEL_EXPORTER_OTLP_HEADERS that a request can carry as headers.
otel_pairs otel_headers(const settings& values);

}  // namespace llm_proxy
