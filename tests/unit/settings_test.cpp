// The options as a whole: their names, defaults and warnings, and how they are printed.
#include "config/env_file.hpp"
#include "support/parsed_option.hpp"

#include <algorithm>
#include <sstream>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> all_names{"LLM_MODE",
                                         "INTERNAL_API_KEY",
                                         "INTERNAL_API_KEYS_FILE",
                                         "LOG_LEVEL",
                                         "VERSION",
                                         "UI",
                                         "CORS_ORIGINS",
                                         "HOST",
                                         "PORT",
                                         "ADMIN_PORT",
                                         "METRICS_PUBLIC",
                                         "THREADS",
                                         "TLS_CERT_FILE",
                                         "TLS_KEY_FILE",
                                         "TLS_CLIENT_CA_FILE",
                                         "MAX_CONNECTIONS",
                                         "MAX_CONCURRENT_REQUESTS",
                                         "QUEUE_SIZE",
                                         "QUEUE_TIMEOUT",
                                         "MAX_MEMORY",
                                         "MAX_BODY_BYTES",
                                         "WEBSOCKETS",
                                         "WEBSOCKET_MEMORY",
                                         "WEBSOCKET_LIFETIME",
                                         "LITELLM_PROXY_URL",
                                         "LITELLM_API_KEY",
                                         "LITELLM_CA_FILE",
                                         "LITELLM_CLIENT_CERT_FILE",
                                         "LITELLM_CLIENT_KEY_FILE",
                                         "DEFAULT_MODEL",
                                         "MODEL_ALIASES",
                                         "PASSTHROUGH_PATHS",
                                         "ERROR_STYLE",
                                         "ACCOUNT_USAGE",
                                         "STREAM_TIMING",
                                         "FORWARD_HEADERS",
                                         "CALLER_TO_LITELLM",
                                         "ADAPTER_POOL_SIZE",
                                         "ADAPTER_MAX_CONCURRENT",
                                         "RETRIES",
                                         "CLIENT_HEAD_TIMEOUT",
                                         "CLIENT_BODY_TIMEOUT",
                                         "CLIENT_WRITE_TIMEOUT",
                                         "KEEP_ALIVE_TIMEOUT",
                                         "CONNECT_TIMEOUT",
                                         "FIRST_BYTE_TIMEOUT",
                                         "STREAM_COMMIT_AFTER",
                                         "IDLE_TIMEOUT",
                                         "REQUEST_TIMEOUT",
                                         "DRAIN_DELAY",
                                         "DRAIN_TIMEOUT",
                                         "MOCK_CHUNK_DELAY_MS"};

/// The variables without the prefix LLM_PROXY__, which have OpenTelemetry's own names.
const std::vector<std::string> standard_names{"OTEL_EXPORTER_OTLP_ENDPOINT",
                                              "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                                              "OTEL_EXPORTER_OTLP_PROTOCOL",
                                              "OTEL_EXPORTER_OTLP_HEADERS",
                                              "OTEL_EXPORTER_OTLP_CERTIFICATE",
                                              "OTEL_EXPORTER_OTLP_TIMEOUT",
                                              "OTEL_TRACES_EXPORTER",
                                              "OTEL_TRACES_SAMPLER",
                                              "OTEL_TRACES_SAMPLER_ARG",
                                              "OTEL_SERVICE_NAME",
                                              "OTEL_RESOURCE_ATTRIBUTES",
                                              "OTEL_BSP_SCHEDULE_DELAY",
                                              "OTEL_BSP_MAX_QUEUE_SIZE",
                                              "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                                              "OTEL_SDK_DISABLED"};

/// Returns the name of every option's variable.
std::vector<std::string> variable_names() {
  auto names = standard_names;
  for (const auto& name : all_names) names.push_back("LLM_PROXY__" + name);
  return names;
}

}  // namespace

TEST_CASE("settings: an empty environment gives the documented defaults", "[unit][settings]") {
  const auto parsed = parse_settings({});
  const settings& s = parsed.values;
  CHECK(parsed.faults.empty());
  CHECK(s.llm_mode == llm_mode::litellm);
  CHECK(s.internal_api_key == "change-me-internal-key");
  CHECK(s.log_level == log_level::info);
  CHECK(s.version == "0.1.0");
  CHECK(s.host == "127.0.0.1");
  CHECK(s.port == 8002);
  CHECK(s.threads == 0);
  CHECK(s.internal_api_keys_file.empty());
  CHECK(s.max_concurrent_requests == 0);
  CHECK(s.queue_size == 0);
  CHECK(s.queue_timeout == 10s);
  CHECK(s.max_memory == 0);
  CHECK(s.max_body_bytes == 33'554'432);
  CHECK(s.websockets);
  CHECK(s.websocket_memory == 4'194'304);
  CHECK(s.websocket_lifetime == 60min);
  CHECK(s.litellm_proxy_url == std::vector<std::string>{"http://localhost:4000"});
  CHECK(s.litellm_api_key.empty());
  CHECK(s.default_model == "gpt-3.5-turbo");
  CHECK(s.forward_headers.empty());
  CHECK(s.adapter_pool_size == 0);
  CHECK(s.adapter_max_concurrent == 0);
  CHECK(s.client_head_timeout == 10s);
  CHECK(s.client_body_timeout == 60s);
  CHECK(s.client_write_timeout == 60s);
  CHECK(s.keep_alive_timeout == 75s);
  CHECK(s.connect_timeout == 5s);
  CHECK(s.first_byte_timeout == 10min);
  CHECK(s.idle_timeout == 2min);
  CHECK(s.request_timeout == 0s);
  CHECK(s.drain_timeout == 10min);
  CHECK(s.mock_chunk_delay_ms == 50ms);
}

TEST_CASE("settings: every option reaches its own member", "[unit][settings]") {
  const auto parsed = parse_settings({{"LLM_PROXY__LLM_MODE", "mock"},
                                      {"LLM_PROXY__INTERNAL_API_KEY", "k1"},
                                      {"LLM_PROXY__LOG_LEVEL", "ERROR"},
                                      {"LLM_PROXY__VERSION", "9.9"},
                                      {"LLM_PROXY__HOST", "::1"},
                                      {"LLM_PROXY__PORT", "1"},
                                      {"LLM_PROXY__THREADS", "2"},
                                      {"LLM_PROXY__MAX_CONCURRENT_REQUESTS", "3"},
                                      {"LLM_PROXY__MAX_BODY_BYTES", "4"},
                                      {"LLM_PROXY__WEBSOCKETS", "false"},
                                      {"LLM_PROXY__WEBSOCKET_MEMORY", "1MiB"},
                                      {"LLM_PROXY__WEBSOCKET_LIFETIME", "25m"},
                                      {"LLM_PROXY__LITELLM_PROXY_URL", "https://llm.example/x"},
                                      {"LLM_PROXY__LITELLM_API_KEY", "k2"},
                                      {"LLM_PROXY__DEFAULT_MODEL", "m"},
                                      {"LLM_PROXY__FORWARD_HEADERS", "x-a"},
                                      {"LLM_PROXY__CALLER_TO_LITELLM", "tag"},
                                      {"LLM_PROXY__ADAPTER_POOL_SIZE", "5"},
                                      {"LLM_PROXY__ADAPTER_MAX_CONCURRENT", "6"},
                                      {"LLM_PROXY__CLIENT_HEAD_TIMEOUT", "11"},
                                      {"LLM_PROXY__CLIENT_BODY_TIMEOUT", "12"},
                                      {"LLM_PROXY__CLIENT_WRITE_TIMEOUT", "13"},
                                      {"LLM_PROXY__KEEP_ALIVE_TIMEOUT", "14"},
                                      {"LLM_PROXY__CONNECT_TIMEOUT", "15"},
                                      {"LLM_PROXY__FIRST_BYTE_TIMEOUT", "16"},
                                      {"LLM_PROXY__IDLE_TIMEOUT", "17"},
                                      {"LLM_PROXY__REQUEST_TIMEOUT", "18"},
                                      {"LLM_PROXY__DRAIN_TIMEOUT", "19"},
                                      {"LLM_PROXY__INTERNAL_API_KEYS_FILE", "/etc/keys.json"},
                                      {"LLM_PROXY__QUEUE_SIZE", "21"},
                                      {"LLM_PROXY__QUEUE_TIMEOUT", "22"},
                                      {"LLM_PROXY__MAX_MEMORY", "1GiB"},
                                      {"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "20"}});
  settings expected;
  expected.internal_api_keys_file = "/etc/keys.json";
  expected.queue_size = 21;
  expected.queue_timeout = 22s;
  expected.max_memory = std::size_t{1} << 30;
  expected.llm_mode = llm_mode::mock;
  expected.internal_api_key = "k1";
  expected.log_level = log_level::error;
  expected.version = "9.9";
  expected.host = "::1";
  expected.port = 1;
  expected.threads = 2;
  expected.max_concurrent_requests = 3;
  expected.max_body_bytes = 4;
  expected.websockets = false;
  expected.websocket_memory = 1'048'576;
  expected.websocket_lifetime = 25min;
  expected.litellm_proxy_url = {"https://llm.example/x"};
  expected.litellm_api_key = "k2";
  expected.default_model = "m";
  expected.forward_headers = {"x-a"};
  expected.caller_to_litellm = caller_to_litellm::tag;
  expected.adapter_pool_size = 5;
  expected.adapter_max_concurrent = 6;
  expected.client_head_timeout = 11s;
  expected.client_body_timeout = 12s;
  expected.client_write_timeout = 13s;
  expected.keep_alive_timeout = 14s;
  expected.connect_timeout = 15s;
  expected.first_byte_timeout = 16s;
  expected.idle_timeout = 17s;
  expected.request_timeout = 18s;
  expected.drain_timeout = 19s;
  expected.mock_chunk_delay_ms = 20ms;
  CHECK(parsed.faults.empty());
  CHECK(parsed.warnings.empty());
  CHECK(parsed.values == expected);
}

TEST_CASE("settings: an empty or blank value counts as unset, except for the internal key",
          "[unit][settings]") {
  for (const auto& name : all_names) {
    if (name == "INTERNAL_API_KEY") continue;
    settings expected;
    expected.internal_api_key = "unit-test-key";
    CHECK(accept(name, "") == expected);
    if (name != "LITELLM_API_KEY") CHECK(accept(name, "  ") == expected);
  }
  CHECK(contains(refuse("INTERNAL_API_KEY", ""), "is empty"));
}

TEST_CASE("settings: plain PORT stands in for an unset LLM_PROXY__PORT", "[unit][settings]") {
  CHECK(parse_settings({{"PORT", "9000"}}).values.port == 9000);
  CHECK(parse_settings({{"PORT", "9000"}, {"LLM_PROXY__PORT", ""}}).values.port == 9000);
  CHECK(parse_settings({{"PORT", "9000"}, {"LLM_PROXY__PORT", "9001"}}).values.port == 9001);
  CHECK(parse_settings({{"PORT", "bad"}, {"LLM_PROXY__PORT", "9001"}}).faults.empty());
  const auto parsed = parse_settings({{"PORT", "bad"}});
  REQUIRE(parsed.faults.size() == 1);
  CHECK(parsed.faults[0].starts_with("PORT: \"bad\""));
}

TEST_CASE("settings: all faults are reported together, and the other values are used", "[unit][settings]") {
  const auto parsed = parse_settings({{"LLM_PROXY__PORT", "x"},
                                      {"LLM_PROXY__LLM_MODE", "y"},
                                      {"LLM_PROXY__INTERNAL_API_KEY", ""},
                                      {"LLM_PROXY__IDLE_TIMEOUT", "z"},
                                      {"LLM_PROXY__THREADS", "3"}});
  REQUIRE(parsed.faults.size() == 4);
  for (const std::string name : {"PORT", "LLM_MODE", "INTERNAL_API_KEY", "IDLE_TIMEOUT"})
    CHECK(std::count_if(parsed.faults.begin(), parsed.faults.end(), [&](const std::string& fault) {
            return fault.starts_with("LLM_PROXY__" + name);
          }) == 1);
  CHECK(parsed.values.threads == 3);
  CHECK(parsed.values.port == 8002);
}

TEST_CASE("settings: an unknown name is a warning that suggests the nearest one", "[unit][settings]") {
  const auto warning = [](const std::string& name) {
    const auto parsed = parse_settings({{name, "secret-value"}, {"LLM_PROXY__INTERNAL_API_KEY", "k"}});
    CHECK(parsed.faults.empty());
    REQUIRE(parsed.warnings.size() == 1);
    CHECK_FALSE(contains(parsed.warnings[0], "secret-value"));
    return parsed.warnings[0];
  };
  CHECK(contains(warning("LLM_PROXY__INTERNAL_KEY"), "did you mean LLM_PROXY__INTERNAL_API_KEY?"));
  CHECK(contains(warning("LLM_PROXY__PROT"), "did you mean LLM_PROXY__PORT?"));
  CHECK(contains(warning("LLM_PROXY__LITELLM_URL"), "did you mean LLM_PROXY__LITELLM_PROXY_URL?"));
  CHECK(contains(warning("llm_proxy__log_level"), "did you mean LLM_PROXY__LOG_LEVEL?"));
  warning("LLM_PROXY__");
  warning("LLM_PROXY__" + std::string(100'000, 'X'));
}

TEST_CASE("settings: variables of other programs are ignored", "[unit][settings]") {
  const auto parsed = parse_settings({{"PATH", "/bin"},
                                      {"LLM_PROXY_PORT", "tcp://10.0.0.1:80"},
                                      {"LLM", ""},
                                      {"LLM_PROXY__INTERNAL_API_KEY", "k"}});
  CHECK(parsed.warnings.empty());
  CHECK(parsed.faults.empty());
}

TEST_CASE("settings: a QUEUE_TIMEOUT that has no effect, because no request can wait, is refused",
          "[unit][settings]") {
  const auto faults = [](const std::string& size, const std::string& timeout) {
    return parse_settings({{"LLM_PROXY__INTERNAL_API_KEY", "k"},
                           {"LLM_PROXY__QUEUE_SIZE", size},
                           {"LLM_PROXY__QUEUE_TIMEOUT", timeout}})
        .faults;
  };
  for (const std::string size : {"", "0"}) {
    for (const std::string timeout : {"30s", "0"})
      CHECK(faults(size, timeout) ==
            std::vector<std::string>{
                "LLM_PROXY__QUEUE_TIMEOUT has no effect: LLM_PROXY__QUEUE_SIZE is 0, so no request waits"});
    // The output of print-config is a valid file of options.
    CHECK(faults(size, "10s").empty());
  }
  CHECK(faults("1", "30s").empty());
  CHECK(faults("1", "0").empty());
}

TEST_CASE("settings: the default key is a warning on loopback and a fault elsewhere", "[unit][settings]") {
  const auto with = [](const std::string& host, const std::string& mode, const std::string& key) {
    variables environment{{"LLM_PROXY__HOST", host}, {"LLM_PROXY__LLM_MODE", mode}};
    if (!key.empty()) environment["LLM_PROXY__INTERNAL_API_KEY"] = key;
    return parse_settings(environment);
  };
  for (const std::string local : {"127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"}) {
    const auto parsed = with(local, "litellm", "");
    CHECK(parsed.faults.empty());
    REQUIRE(parsed.warnings.size() == 1);
    CHECK(contains(parsed.warnings[0], "LLM_PROXY__INTERNAL_API_KEY"));
    CHECK(with(local, "mock", "").warnings.empty());
  }
  for (const std::string open : {"0.0.0.0", "::", "192.168.1.1", "::ffff:10.0.0.1"}) {
    const auto parsed = with(open, "litellm", "");
    CHECK(parsed.warnings.empty());
    REQUIRE(parsed.faults.size() == 1);
    CHECK(contains(parsed.faults[0], "LLM_PROXY__INTERNAL_API_KEY"));
    CHECK(with(open, "litellm", "change-me-internal-key").faults.size() == 1);
    // A mock uses its machine just as much, and may soon be turned into the real service.
    CHECK(with(open, "mock", "").faults.size() == 1);
    CHECK(with(open, "mock", "").warnings.empty());
    CHECK(with(open, "mock", "own").faults.empty());
    CHECK(with(open, "litellm", "own").faults.empty());
    CHECK(with(open, "litellm", "own").warnings.empty());
  }
}

TEST_CASE("settings: the printed configuration masks secrets, default ones too", "[unit][settings]") {
  settings values;
  CHECK(contains(print_config(values), "LLM_PROXY__INTERNAL_API_KEY=********  # default\n"));
  CHECK(contains(print_config(values), "LLM_PROXY__LITELLM_API_KEY=  # default\n"));
  values.internal_api_key = "top-secret-1";
  values.litellm_api_key = "top-secret-2";
  const auto text = print_config(values);
  CHECK_FALSE(contains(text, "top-secret"));
  CHECK(contains(text, "LLM_PROXY__INTERNAL_API_KEY=********\n"));
  CHECK(contains(text, "LLM_PROXY__LITELLM_API_KEY=********\n"));
}

TEST_CASE("settings: the printed configuration reads back as the same settings", "[unit][settings]") {
  settings values;
  values.llm_mode = llm_mode::mock;
  values.log_level = log_level::warning;
  values.default_model = "it's a #1 $model";
  values.forward_headers = {"x-a", "x-b"};
  values.caller_to_litellm = caller_to_litellm::end_user;
  values.max_body_bytes = 65'537;
  values.idle_timeout = 1234ms;
  values.request_timeout = 90s;
  values.drain_timeout = 24h;
  const auto file = parse_env_text(print_config(values));
  CHECK(file.faults.empty());
  auto parsed = parse_settings(file.values);
  CHECK(parsed.faults.empty());
  parsed.values.internal_api_key = values.internal_api_key;
  CHECK(parsed.values == values);
}

TEST_CASE("settings: .env.example sets nothing as it is, and the defaults when uncommented",
          "[unit][settings]") {
  CHECK(parse_env_text(env_example()).values.empty());
  std::istringstream lines{env_example()};
  std::string uncommented;
  for (std::string line; std::getline(lines, line);)
    uncommented +=
        (line.starts_with("#LLM_PROXY__") || line.starts_with("#OTEL_") ? line.substr(1) : line) + "\n";
  const auto file = parse_env_text(uncommented);
  CHECK(file.faults.empty());
  CHECK(file.values.size() == variable_names().size());
  const auto parsed = parse_settings(file.values);
  CHECK(parsed.faults.empty());
  CHECK(parsed.values == settings{});
}

TEST_CASE("settings: help, example and table name every option", "[unit][settings]") {
  const auto names = variable_names();
  for (const auto& name : names) {
    CHECK(contains(help_text(), "  " + name));
    CHECK(contains(env_example(), "#" + name + "="));
    CHECK(contains(readme_options_table(), "| `" + name + "`"));
    CHECK(contains(print_config({}), name + "="));
  }
  const auto table = readme_options_table();
  CHECK(static_cast<std::size_t>(std::count(table.begin(), table.end(), '\n')) == names.size() + 2);
  CHECK(static_cast<std::size_t>(std::count(table.begin(), table.end(), '|')) == 5 * (names.size() + 2));
}
