#include "config/settings.hpp"

#include "config/env_file.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <sstream>

using namespace llm_proxy;
using namespace std::chrono_literals;
using variables = std::map<std::string, std::string>;

namespace {

parsed_settings parse_one(const std::string& name, const std::string& value) {
  // A key of one's own keeps the default key's warning out of the way.
  variables environment{{"LLM_PROXY__INTERNAL_API_KEY", "unit-test-key"}};
  environment["LLM_PROXY__" + name] = value;
  return parse_settings(environment);
}

settings accept(const std::string& name, const std::string& value) {
  const auto parsed = parse_one(name, value);
  INFO(name << "=" << value);
  for (const auto& fault : parsed.faults) UNSCOPED_INFO(fault);
  CHECK(parsed.faults.empty());
  CHECK(parsed.warnings.empty());
  return parsed.values;
}

/// The one fault that `value` must cause; it names its variable.
std::string refuse(const std::string& name, const std::string& value) {
  const auto parsed = parse_one(name, value);
  INFO(name << "=" << value);
  CHECK(parsed.faults.size() == 1);
  if (parsed.faults.empty()) return {};
  CHECK(parsed.faults[0].starts_with("LLM_PROXY__" + name));
  return parsed.faults[0];
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::vector<std::string> all_names{"LLM_MODE",
                                         "INTERNAL_API_KEY",
                                         "INTERNAL_API_KEYS_FILE",
                                         "LOG_LEVEL",
                                         "VERSION",
                                         "UI",
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

/// Those that have no prefix.
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

/// Every option's variable.
std::vector<std::string> variable_names() {
  auto names = standard_names;
  for (const auto& name : all_names) names.push_back("LLM_PROXY__" + name);
  return names;
}

const std::vector<std::string> duration_names{
    "CLIENT_HEAD_TIMEOUT", "CLIENT_BODY_TIMEOUT", "CLIENT_WRITE_TIMEOUT", "KEEP_ALIVE_TIMEOUT",
    "CONNECT_TIMEOUT",     "FIRST_BYTE_TIMEOUT",  "IDLE_TIMEOUT",         "REQUEST_TIMEOUT",
    "DRAIN_DELAY",         "DRAIN_TIMEOUT"};

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

TEST_CASE("settings: an empty or blank value counts as unset, but for the internal key", "[unit][settings]") {
  for (const auto& name : all_names) {
    if (name == "INTERNAL_API_KEY") continue;
    settings expected;
    expected.internal_api_key = "unit-test-key";
    CHECK(accept(name, "") == expected);
    if (name != "LITELLM_API_KEY") CHECK(accept(name, "  ") == expected);
  }
  CHECK(contains(refuse("INTERNAL_API_KEY", ""), "is empty"));
}

TEST_CASE("settings: choices take any letter case", "[unit][settings]") {
  CHECK(accept("LLM_MODE", "Mock").llm_mode == llm_mode::mock);
  CHECK(accept("LLM_MODE", " LITELLM ").llm_mode == llm_mode::litellm);
  CHECK(accept("LOG_LEVEL", "trace").log_level == log_level::trace);
  CHECK(accept("LOG_LEVEL", "Debug").log_level == log_level::debug);
  CHECK(accept("LOG_LEVEL", "INFO").log_level == log_level::info);
  CHECK(accept("LOG_LEVEL", "WARN").log_level == log_level::warning);
  CHECK(accept("LOG_LEVEL", "warning").log_level == log_level::warning);
  CHECK(accept("LOG_LEVEL", "ERROR").log_level == log_level::error);
  CHECK(accept("LOG_LEVEL", "critical").log_level == log_level::critical);
  CHECK(contains(refuse("LLM_MODE", "openai"), "litellm, mock"));
  CHECK(contains(refuse("LOG_LEVEL", "loud"), "TRACE, DEBUG, INFO, WARNING, WARN, ERROR, CRITICAL"));
  refuse("LOG_LEVEL", "off");
}

TEST_CASE("settings: numbers are whole, decimal and within their bounds", "[unit][settings]") {
  CHECK(accept("PORT", "0").port == 0);
  CHECK(accept("PORT", "65535").port == 65535);
  CHECK(accept("PORT", " 80 ").port == 80);
  CHECK(contains(refuse("PORT", "65536"),
                 "\"65536\" is not accepted; it takes a whole number from 0 to 65535"));
  for (const char* bad : {"-1", "+1", "1.0", "1e3", "0x50", "80 81", "abc", "99999999999999999999"})
    refuse("PORT", bad);
  CHECK(accept("THREADS", "1024").threads == 1024);
  refuse("THREADS", "1025");
  CHECK(accept("ADAPTER_POOL_SIZE", "4096").adapter_pool_size == 4096);
  refuse("ADAPTER_POOL_SIZE", "4097");
  CHECK(accept("ADAPTER_MAX_CONCURRENT", "1000000").adapter_max_concurrent == 1'000'000);
  refuse("ADAPTER_MAX_CONCURRENT", "1000001");
  CHECK(accept("MAX_CONCURRENT_REQUESTS", "1000000").max_concurrent_requests == 1'000'000);
  refuse("MAX_CONCURRENT_REQUESTS", "-5");
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

TEST_CASE("settings: body sizes take bytes or a unit", "[unit][settings]") {
  CHECK(accept("MAX_BODY_BYTES", "1").max_body_bytes == 1);
  CHECK(accept("MAX_BODY_BYTES", "1048576").max_body_bytes == 1'048'576);
  CHECK(accept("MAX_BODY_BYTES", "64KiB").max_body_bytes == 65'536);
  CHECK(accept("MAX_BODY_BYTES", "8 mib").max_body_bytes == 8'388'608);
  CHECK(accept("MAX_BODY_BYTES", "4GiB").max_body_bytes == 4'294'967'296);
  for (const char* bad :
       {"0", "5GiB", "4294967297", "1.5MiB", "10MB", "10M", "MiB", "-1", "18446744073709551615GiB"})
    refuse("MAX_BODY_BYTES", bad);
}

TEST_CASE("settings: durations take a unit, and a bare number means seconds", "[unit][settings]") {
  CHECK(accept("REQUEST_TIMEOUT", "500ms").request_timeout == 500ms);
  CHECK(accept("REQUEST_TIMEOUT", "30s").request_timeout == 30s);
  CHECK(accept("REQUEST_TIMEOUT", "10m").request_timeout == 10min);
  CHECK(accept("REQUEST_TIMEOUT", "1h").request_timeout == 1h);
  CHECK(accept("REQUEST_TIMEOUT", "1.5h").request_timeout == 90min);
  CHECK(accept("REQUEST_TIMEOUT", "360").request_timeout == 360s);
  CHECK(accept("REQUEST_TIMEOUT", "360.0").request_timeout == 360s);
  CHECK(accept("REQUEST_TIMEOUT", "0.25").request_timeout == 250ms);
  CHECK(accept("REQUEST_TIMEOUT", "2 s").request_timeout == 2s);
  CHECK(accept("REQUEST_TIMEOUT", "720h").request_timeout == 720h);
  for (const auto& name : duration_names) {
    accept(name, "0");
    accept(name, "0s");
    for (const char* bad :
         {"-1", "721h", "10 minutes", "1d", "1m30s", "s", ".", "1.2.3", "1e3", "inf", "nan", "5S"})
      refuse(name, bad);
  }
}

TEST_CASE("settings: a duration too short to count is refused and not taken for off", "[unit][settings]") {
  CHECK(contains(refuse("IDLE_TIMEOUT", "0.4ms"), "the least is 1ms"));
  refuse("CONNECT_TIMEOUT", "0.0004");
  CHECK(accept("CONNECT_TIMEOUT", "1ms").connect_timeout == 1ms);
}

TEST_CASE("settings: a bare mock delay means milliseconds", "[unit][settings]") {
  CHECK(accept("MOCK_CHUNK_DELAY_MS", "5").mock_chunk_delay_ms == 5ms);
  CHECK(accept("MOCK_CHUNK_DELAY_MS", "0").mock_chunk_delay_ms == 0ms);
  CHECK(accept("MOCK_CHUNK_DELAY_MS", "2s").mock_chunk_delay_ms == 2s);
  refuse("MOCK_CHUNK_DELAY_MS", "2h");
  refuse("MOCK_CHUNK_DELAY_MS", "fast");
}

TEST_CASE("settings: HOST is an IP address or localhost", "[unit][settings]") {
  for (const char* good : {"127.0.0.1", "0.0.0.0", "10.1.2.3", "::", "::1", "fe80::1", "::ffff:10.0.0.1"})
    CHECK(accept("HOST", good).host == good);
  CHECK(accept("HOST", "LocalHost").host == "localhost");
  for (const char* bad :
       {"example.com", "[::1]", "127.0.0.1:80", "256.1.1.1", "1.2.3", "*", ":::", "fe80::1%eth0"})
    refuse("HOST", bad);
}

TEST_CASE("settings: the upstream's address is checked in all its parts", "[unit][settings]") {
  for (const char* good :
       {"http://localhost:4000", "https://llm.example.com", "HTTP://10.0.0.1:1/",
        "http://[::1]:4000/base/path/", "http://my_service.namespace.svc:65535", "https://h/a%20b/(c)"})
    CHECK(accept("LITELLM_PROXY_URL", good).litellm_proxy_url == std::vector<std::string>{good});
  for (const char* bad :
       {"localhost:4000",  "ftp://h",     "http://",      "http:///path", "http://h:0",
        "http://h:65536",  "http://h:",   "http://h:x",   "http://u:p@h", "http://h?x=1",
        "http://h/p?x=1",  "http://h/#f", "http://h#f",   "http://[::1",  "http://[1.2.3.4]",
        "http://::1:4000", "http://a b",  "http://h/a b", "http://h/%zz", "http://h/\x01",
        "http://h\\x",     "//h"})
    refuse("LITELLM_PROXY_URL", bad);
}

TEST_CASE("settings: upstream addresses come comma-separated, each checked", "[unit][settings]") {
  using urls = std::vector<std::string>;
  CHECK(accept("LITELLM_PROXY_URL", " http://a:1 ,https://b/x,").litellm_proxy_url ==
        urls{"http://a:1", "https://b/x"});
  CHECK(contains(refuse("LITELLM_PROXY_URL", "http://a,ftp://b"), "no usable address in place 2"));
  CHECK(contains(refuse("LITELLM_PROXY_URL", "http://a,http://b,http://a"),
                 "in place 3 that stands there twice"));
  refuse("LITELLM_PROXY_URL", ",");
  std::string many = "http://h0";
  for (int i = 1; i < 32; ++i) many += ",http://h" + std::to_string(i);
  CHECK(accept("LITELLM_PROXY_URL", many).litellm_proxy_url.size() == 32);
  CHECK(contains(refuse("LITELLM_PROXY_URL", many + ",http://h32"), "more than 32"));
}

TEST_CASE("settings: a refused address is not shown, as it may hold a password", "[unit][settings]") {
  CHECK_FALSE(contains(refuse("LITELLM_PROXY_URL", "http://user:hunter2@host"), "hunter2"));
  CHECK_FALSE(contains(refuse("LITELLM_PROXY_URL", "http://a,http://user:hunter2@host"), "hunter2"));
}

TEST_CASE("settings: texts that end up in JSON carry nothing that would break it", "[unit][settings]") {
  CHECK(accept("DEFAULT_MODEL", "openai/gpt-4o:free").default_model == "openai/gpt-4o:free");
  CHECK(accept("DEFAULT_MODEL", "modèle").default_model == "modèle");
  CHECK(accept("DEFAULT_MODEL", std::string(200, 'm')).default_model.size() == 200);
  for (const auto& bad : {std::string{"a\"b"}, std::string{"a\\b"}, std::string{"a\nb"}, std::string{"a\xff"},
                          std::string{"a\0b", 3}, std::string(201, 'm')})
    refuse("DEFAULT_MODEL", bad);
  refuse("VERSION", "1\t2");
  refuse("VERSION", std::string(101, '1'));
}

TEST_CASE("settings: a key that no header can carry is refused and never shown", "[unit][settings]") {
  for (const std::string name : {"INTERNAL_API_KEY", "LITELLM_API_KEY"}) {
    for (const auto& bad : {std::string{"sec\nret"}, std::string{"secret\r\n"}, std::string{"sec\0ret", 7},
                            std::string{"sec\x7fret"}, std::string{"sec\tret"}, std::string{" secret"},
                            std::string{"secret "}, "secret" + std::string(4096, 'x')}) {
      const auto fault = refuse(name, bad);
      CHECK_FALSE(contains(fault, "secret"));
      CHECK_FALSE(contains(fault, "ret\""));
    }
    accept(name, "sk-with blank \"quotes\" \xc3\xa9");
  }
  refuse("INTERNAL_API_KEY", "   ");
}

TEST_CASE("settings: forwarded headers are names in lower case without doubles", "[unit][settings]") {
  const auto names = accept("FORWARD_HEADERS", " X-Tenant, x-b3-traceid ,,x-tenant,").forward_headers;
  CHECK(names == std::vector<std::string>{"x-tenant", "x-b3-traceid"});
  CHECK(accept("FORWARD_HEADERS", "x-Tenant-*,*-trace,x-*-id").forward_headers ==
        std::vector<std::string>{"x-tenant-*", "*-trace", "x-*-id"});
  for (const char* bad : {"*", "x-a,*", "**", "x-*-y-*", "x-litellm-user-*", "x-litellm-mcp-*", "proxy-*"}) {
    refuse("FORWARD_HEADERS", bad);
  }
  for (const char* bad : {"x tenant", "x:y", "x\ny", "x-a,\"q\"", "naïve"}) refuse("FORWARD_HEADERS", bad);
}

TEST_CASE("settings: credentials and connection headers are never forwarded", "[unit][settings]") {
  for (const char* bad : {"Authorization",
                          "proxy-authorization",
                          "x-internal-auth",
                          "X-Api-Key",
                          "api-key",
                          "cookie",
                          "set-cookie",
                          "host",
                          "connection",
                          "keep-alive",
                          "te",
                          "trailer",
                          "transfer-encoding",
                          "upgrade",
                          "content-length",
                          "content-encoding",
                          "expect",
                          "x-request-id",
                          "x-forwarded-for",
                          "x-goog-api-key",
                          "X-LiteLLM-Api-Key",
                          "x-litellm-model",
                          "x-litellm-team-id",
                          "x-litellm-user-id",
                          "x-litellm-user-email",
                          "x-litellm-disable-callbacks",
                          "x-litellm-cli-poll-secret",
                          "x-litellm-mcp-debug",
                          "x-litellm-keepalive-seconds"})
    CHECK(contains(refuse("FORWARD_HEADERS", std::string{"x-good, "} + bad), "never forwarded"));
}

TEST_CASE("settings: all faults are reported together and the rest is taken", "[unit][settings]") {
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

TEST_CASE("settings: a fault shows strange values escaped and cut", "[unit][settings]") {
  const auto fault = refuse("PORT", "\x1b[31m" + std::string(5000, 'x'));
  CHECK(contains(fault, "\\x1b[31m"));
  CHECK(fault.size() < 400);
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

TEST_CASE("settings: variables of others are ignored", "[unit][settings]") {
  const auto parsed = parse_settings({{"PATH", "/bin"},
                                      {"LLM_PROXY_PORT", "tcp://10.0.0.1:80"},
                                      {"LLM", ""},
                                      {"LLM_PROXY__INTERNAL_API_KEY", "k"}});
  CHECK(parsed.warnings.empty());
  CHECK(parsed.faults.empty());
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
    // A mock costs its machine as much, and is soon more than a mock.
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

TEST_CASE("settings: a file's name is taken as it is, but for control bytes", "[settings]") {
  const auto name = "/etc/a b/\\\"\xc3\xa4" + std::string(300, 'x') + ".pem";
  CHECK(accept("TLS_CERT_FILE", name).tls_cert_file == name);
  refuse("TLS_KEY_FILE", "/etc/a\nb");
  refuse("TLS_CLIENT_CA_FILE", std::string(4097, 'x'));
}

TEST_CASE("settings: MODEL_ALIASES are name=model pairs, PASSTHROUGH_PATHS plain paths", "[settings]") {
  const auto aliases = accept("MODEL_ALIASES", " fast = gpt-4o-mini ,smart=vendor/a=b,").model_aliases;
  CHECK(aliases == std::vector<model_alias>{{"fast", "gpt-4o-mini"}, {"smart", "vendor/a=b"}});
  for (const char* bad : {"fast", "=m", "fast=", "a=b,c", "a=\"b\""}) refuse("MODEL_ALIASES", bad);
  CHECK(contains(refuse("MODEL_ALIASES", "a=b,a=c"), "given twice"));
  CHECK(accept("PASSTHROUGH_PATHS", "/v1/files/, /v1/batches,/v1/files").passthrough_paths ==
        std::vector<std::string>{"/v1/files", "/v1/batches"});
  for (const char* bad : {"v1/files", "/v1/fi les", "/v1/files?x"}) refuse("PASSTHROUGH_PATHS", bad);
}

TEST_CASE("settings: flags and styles take words", "[settings]") {
  for (const char* on : {"true", "ON", "yes", "1"}) CHECK(accept("ACCOUNT_USAGE", on).account_usage);
  for (const char* off : {"false", "Off", "no", "0"}) CHECK_FALSE(accept("ACCOUNT_USAGE", off).account_usage);
  refuse("ACCOUNT_USAGE", "maybe");
  CHECK(accept("ERROR_STYLE", "RAW").error_style == error_style::raw);
  refuse("ERROR_STYLE", "nice");
  CHECK(accept("CALLER_TO_LITELLM", "End_User").caller_to_litellm == caller_to_litellm::end_user);
  CHECK(contains(refuse("CALLER_TO_LITELLM", "yes"), "one of off, end_user, tag"));
}

TEST_CASE("settings: .env.example says nothing as it is, and the defaults when uncommented",
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
