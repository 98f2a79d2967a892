#include "config/otel_settings.hpp"

#include "config/log_safe.hpp"
#include "config/option_reader.hpp"
#include "http/text/text.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace llm_proxy {
namespace {

constexpr std::string_view spoken = "http/json";

bool has_control_or_tab(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

/// Returns whether `name` is a token of RFC 9110 section 5.6.2 and none of the headers below, which only the
/// exporter itself may set.
bool is_header_name(const std::string& name) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const bool token = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
  constexpr std::array<std::string_view, 5> framing{"host", "content-length", "content-type",
                                                    "transfer-encoding", "connection"};
  return token && std::find(framing.begin(), framing.end(), lower(name)) == framing.end();
}

}  // namespace

otel_pairs read_otel_pairs(std::string_view list) {
  otel_pairs read;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const auto pair = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto name = percent_decoded(trim(pair.substr(0, equals)));
    auto value =
        equals == std::string_view::npos ? std::string{} : percent_decoded(trim(pair.substr(equals + 1)));
    if (equals == std::string_view::npos || name.empty() || has_control_or_tab(name) ||
        has_control_or_tab(value)) {
      read.whole = false;
    } else {
      read.pairs.emplace_back(std::move(name), std::move(value));
    }
  }
  return read;
}

otel_pairs otel_headers(const settings& values) {
  auto read = read_otel_pairs(values.otel_exporter_otlp_headers);
  read.whole = std::erase_if(read.pairs, [](const auto& pair) { return !is_header_name(pair.first); }) == 0 &&
               read.whole;
  return read;
}

bool traces_on(const settings& values) {
  const bool somewhere =
      !values.otel_exporter_otlp_endpoint.empty() || !values.otel_exporter_otlp_traces_endpoint.empty();
  return somewhere && !values.otel_sdk_disabled && lower(values.otel_traces_exporter) == "otlp" &&
         lower(values.otel_exporter_otlp_protocol) != "grpc";
}

void check_otel(parsed_settings& parsed) {
  auto& values = parsed.values;
  const auto warn = [&](std::string text) { parsed.warnings.push_back(std::move(text)); };
  const bool somewhere =
      !values.otel_exporter_otlp_endpoint.empty() || !values.otel_exporter_otlp_traces_endpoint.empty();
  if (!somewhere || values.otel_sdk_disabled) return;
  const auto exporter = lower(values.otel_traces_exporter);
  if (exporter == "none") return;
  if (exporter != "otlp") {
    warn("OTEL_TRACES_EXPORTER: \"" + log_safe(exporter) +
         "\" is not known here (otlp or none); no traces are exported");
    return;
  }
  const auto protocol = lower(values.otel_exporter_otlp_protocol);
  if (protocol == "grpc") {
    warn(
        "OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not spoken here; no traces are exported. Set it to http/json, "
        "and "
        "the endpoint to the collector's port for HTTP (4318)");
    return;
  }
  if (protocol != spoken) {
    warn("OTEL_EXPORTER_OTLP_PROTOCOL: \"" + log_safe(protocol) +
         "\" is not spoken here; spans are sent as http/json, which collectors take at the same address");
  }
  const auto& endpoint = values.otel_exporter_otlp_traces_endpoint.empty()
                             ? values.otel_exporter_otlp_endpoint
                             : values.otel_exporter_otlp_traces_endpoint;
  if (!values.otel_exporter_otlp_certificate.empty() && !lower(endpoint).starts_with("https://"))
    warn("OTEL_EXPORTER_OTLP_CERTIFICATE has no effect: the collector's address is not https");
  const auto sampler = values.otel_traces_sampler;
  const bool has_ratio =
      sampler == otel_sampler::traceidratio || sampler == otel_sampler::parentbased_traceidratio;
  if (!has_ratio && values.otel_traces_sampler_arg != settings{}.otel_traces_sampler_arg)
    warn("OTEL_TRACES_SAMPLER_ARG has no effect: OTEL_TRACES_SAMPLER is none of the ratio samplers");
  if (!otel_headers(values).whole)
    warn(
        "OTEL_EXPORTER_OTLP_HEADERS holds what is no header; it takes name=value pairs, comma-separated, and "
        "the "
        "rest of it is used");
  if (!read_otel_pairs(values.otel_resource_attributes).whole)
    warn(
        "OTEL_RESOURCE_ATTRIBUTES holds what is no attribute; it takes name=value pairs, comma-separated, "
        "and the "
        "rest of it is used");
}

}  // namespace llm_proxy
