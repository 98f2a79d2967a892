#include "config/otel_settings.hpp"

#include "support/catch.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace llm_proxy;
using namespace std::chrono_literals;
using variables = std::map<std::string, std::string>;

namespace {

parsed_settings parse_with(variables given) {
  given["LLM_PROXY__INTERNAL_API_KEY"] = "unit-test-key";
  return parse_settings(given);
}

const variables somewhere{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"}};

parsed_settings parse_more(const std::string& name, const std::string& value) {
  auto given = somewhere;
  given[name] = value;
  return parse_with(given);
}

}  // namespace

TEST_CASE("otel settings: traces are on if an endpoint is set, unless anything turns them off",
          "[unit][otel]") {
  CHECK_FALSE(traces_on(parse_with({}).values));
  CHECK(traces_on(parse_with(somewhere).values));
  CHECK(traces_on(
      parse_with({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318/v1/traces"}}).values));
  CHECK_FALSE(traces_on(parse_more("OTEL_SDK_DISABLED", "TRUE").values));
  CHECK(traces_on(parse_more("OTEL_SDK_DISABLED", "false").values));
  CHECK_FALSE(traces_on(parse_more("OTEL_TRACES_EXPORTER", "none").values));
  CHECK(parse_with(somewhere).warnings.empty());
  CHECK(parse_with(somewhere).faults.empty());
}

TEST_CASE("otel settings: a value that cannot be used causes a warning and does not prevent the start",
          "[unit][otel]") {
  for (const auto& [name, value, effect] : std::vector<std::tuple<std::string, std::string, bool>>{
           {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", false},
           {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", true},
           {"OTEL_TRACES_EXPORTER", "zipkin", false},
           {"OTEL_TRACES_SAMPLER", "jaeger_remote", true},
           {"OTEL_TRACES_SAMPLER_ARG", "1.5", true},
           {"OTEL_TRACES_SAMPLER_ARG", "half", true},
           {"OTEL_EXPORTER_OTLP_TIMEOUT", "soon", true},
           {"OTEL_BSP_MAX_QUEUE_SIZE", "-1", true},
           {"OTEL_EXPORTER_OTLP_HEADERS", "no-equals-sign", true},
           {"OTEL_EXPORTER_OTLP_HEADERS", "content-length=3", true},
           {"OTEL_RESOURCE_ATTRIBUTES", "a=b,c", true},
           {"OTEL_SDK_DISABLED", "perhaps", true},
       }) {
    INFO(name << "=" << value);
    const auto parsed = parse_more(name, value);
    CHECK(parsed.faults.empty());
    REQUIRE(parsed.warnings.size() == 1);
    CHECK(parsed.warnings[0].substr(0, name.size()) == name);
    CHECK(traces_on(parsed.values) == effect);
  }
  // With an invalid address nothing can be exported. Its text is not shown, because it may hold a password.
  const auto parsed = parse_with({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@host"}});
  CHECK(parsed.faults.empty());
  REQUIRE(parsed.warnings.size() == 1);
  CHECK(parsed.warnings[0].find("secret") == std::string::npos);
  CHECK_FALSE(traces_on(parsed.values));
  // Without an endpoint nobody asked for traces, so there is nothing to warn about.
  CHECK(parse_with({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}).warnings.empty());
}

TEST_CASE("otel settings: a value that has no effect beside the others causes a warning", "[unit][otel]") {
  const auto warnings = [](variables given) { return parse_with(std::move(given)).warnings; };
  const std::string certificate = "OTEL_EXPORTER_OTLP_CERTIFICATE";
  const std::string http = "http://127.0.0.1:4318";
  const std::string https = "HTTPS://127.0.0.1:4318";
  const std::string endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const std::string traces_endpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const std::vector<std::string> plain{certificate + " has no effect: the collector's address is not https"};
  CHECK(warnings({{endpoint, http}, {certificate, "ca.pem"}}) == plain);
  CHECK(warnings({{endpoint, https}, {traces_endpoint, http}, {certificate, "ca.pem"}}) == plain);
  CHECK(warnings({{endpoint, http}, {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "ca.pem"}}) == plain);
  CHECK(warnings({{endpoint, https}, {certificate, "ca.pem"}}).empty());
  CHECK(warnings({{endpoint, http}, {traces_endpoint, https}, {certificate, "ca.pem"}}).empty());
  const std::string sampler = "OTEL_TRACES_SAMPLER";
  const std::string share = "OTEL_TRACES_SAMPLER_ARG";
  const std::vector<std::string> unused{share + " has no effect: " + sampler +
                                        " is none of the ratio samplers"};
  CHECK(warnings({{endpoint, http}, {share, "0.25"}}) == unused);
  CHECK(warnings({{endpoint, http}, {sampler, "always_on"}, {share, "0"}}) == unused);
  for (const std::string ratio : {"traceidratio", "parentbased_traceidratio"})
    CHECK(warnings({{endpoint, http}, {sampler, ratio}, {share, "0.25"}}).empty());
  CHECK(warnings({{endpoint, http}, {share, "1"}}).empty());
  // Without an endpoint nobody asked for traces.
  CHECK(warnings({{certificate, "ca.pem"}, {share, "0.25"}}).empty());
}

TEST_CASE("otel settings: values are read as OpenTelemetry spells them", "[unit][otel]") {
  auto values = parse_more("OTEL_TRACES_SAMPLER", "parentbased_traceidratio").values;
  CHECK(values.otel_traces_sampler == otel_sampler::parentbased_traceidratio);
  CHECK(parse_more("OTEL_TRACES_SAMPLER_ARG", "0.25").values.otel_traces_sampler_arg == 0.25);
  CHECK(parse_more("OTEL_EXPORTER_OTLP_TIMEOUT", "2500").values.otel_exporter_otlp_timeout == 2500ms);
  CHECK(parse_more("OTEL_BSP_SCHEDULE_DELAY", "100").values.otel_bsp_schedule_delay == 100ms);
  CHECK(parse_more("OTEL_SERVICE_NAME", "gateway").values.otel_service_name == "gateway");
  // A variable for traces alone wins over the one for all signals.
  auto both = somewhere;
  both["OTEL_EXPORTER_OTLP_HEADERS"] = "a=1";
  both["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] = "b=2";
  CHECK(otel_headers(parse_with(both).values).pairs ==
        std::vector<std::pair<std::string, std::string>>{{"b", "2"}});
}

TEST_CASE("otel settings: pairs are percent-encoded", "[unit][otel]") {
  const auto read = read_otel_pairs(" Authorization=Basic%20YTpi , x-tenant = a%3Db,,k=v=w, e=");
  CHECK(read.whole);
  CHECK(read.pairs == std::vector<std::pair<std::string, std::string>>{
                          {"Authorization", "Basic YTpi"}, {"x-tenant", "a=b"}, {"k", "v=w"}, {"e", ""}});
  for (const auto* text : {"a", "=b", "a=%0d%0ax: y"}) {
    INFO(text);
    CHECK_FALSE(read_otel_pairs(text).whole);
    CHECK(read_otel_pairs(text).pairs.empty());
  }
  CHECK(read_otel_pairs("").whole);
}

TEST_CASE("otel settings: headers are not shown", "[unit][otel]") {
  auto values = parse_more("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary").values;
  CHECK(print_config(values).find("canary") == std::string::npos);
  CHECK(print_config(values).find("OTEL_EXPORTER_OTLP_HEADERS=********") != std::string::npos);
}
