#include "actors/service/proxy_traces.hpp"

#include "actors/telemetry/span_exporter.hpp"
#include "config/otel_settings.hpp"
#include "http/wire/request_id.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace llm_proxy {

namespace {

trace_sampler make_sampler(const settings& values) {
  using choice = otel_sampler;
  trace_sampler sampler;
  const auto how = values.otel_traces_sampler;
  sampler.parent_based = how == choice::parentbased_always_on || how == choice::parentbased_always_off ||
                         how == choice::parentbased_traceidratio;
  if (how == choice::always_off || how == choice::parentbased_always_off)
    sampler.how = trace_sampler::root::always_off;
  if (how == choice::traceidratio || how == choice::parentbased_traceidratio)
    sampler.how = trace_sampler::root::ratio;
  sampler.ratio = values.otel_traces_sampler_arg;
  return sampler;
}

/// OTEL_SERVICE_NAME takes precedence over a service.name in OTEL_RESOURCE_ATTRIBUTES. Attributes that
/// neither of them sets get the values of this function.
otlp_resource make_resource(const settings& values) {
  otlp_resource resource;
  resource.version = values.version;
  auto& all = resource.attributes;
  all = read_otel_pairs(values.otel_resource_attributes).pairs;
  const auto has = [&](std::string_view name) {
    return std::any_of(all.begin(), all.end(), [&](const auto& pair) { return pair.first == name; });
  };
  const auto preset = [&](const char* name, std::string value) {
    if (!has(name)) all.emplace_back(name, std::move(value));
  };
  if (values.otel_service_name != settings{}.otel_service_name)
    std::erase_if(all, [](const auto& pair) { return pair.first == "service.name"; });
  preset("service.name", values.otel_service_name);
  preset("service.version", values.version);
  preset("service.instance.id", make_request_id());  // tells replicas apart; a new one at each start
  return resource;
}

span_exporter_options make_exporter_options(const settings& values) {
  span_exporter_options options;
  // The path of the signal is appended to the general endpoint. The endpoint for traces is used as it is.
  const bool own = !values.otel_exporter_otlp_traces_endpoint.empty();
  const auto& url = own ? values.otel_exporter_otlp_traces_endpoint : values.otel_exporter_otlp_endpoint;
  const auto address = parse_upstream_address(url);
  if (!address) throw std::runtime_error{"the OTLP endpoint is not an http(s) address"};
  options.address = *address;
  options.path = own ? (address->prefix.empty() ? "/" : "") : "/v1/traces";
  if (address->tls) options.tls = make_upstream_tls({values.otel_exporter_otlp_certificate});
  for (const auto& [name, value] : otel_headers(values).pairs) options.headers.add(name, value);
  options.timeout = values.otel_exporter_otlp_timeout;
  options.schedule_delay = values.otel_bsp_schedule_delay;
  options.resource = make_resource(values);
  return options;
}

}  // namespace

void check_tracing(const settings& values) {
  if (traces_on(values)) make_exporter_options(values);
}

std::shared_ptr<const session_tracing> start_tracing(const settings& values, caf::actor_system& system,
                                                     io_worker& home) {
  if (!traces_on(values)) return nullptr;
  auto tracing = std::make_shared<session_tracing>();
  tracing->sampler = make_sampler(values);
  const auto most = values.otel_bsp_max_queue_size;
  tracing->finished =
      std::make_shared<span_queue>(most, std::min(most, values.otel_bsp_max_export_batch_size));
  tracing->exporter =
      spawn_on(system, home, span_exporter, &home, make_exporter_options(values), tracing->finished);
  return tracing;
}

}  // namespace llm_proxy
