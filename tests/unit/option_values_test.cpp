// Which values each kind of option accepts, and how the fault for any other value is worded.
#include "support/parsed_option.hpp"

#include <string>
#include <vector>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> duration_names{
    "CLIENT_HEAD_TIMEOUT", "CLIENT_BODY_TIMEOUT", "CLIENT_WRITE_TIMEOUT", "KEEP_ALIVE_TIMEOUT",
    "CONNECT_TIMEOUT",     "FIRST_BYTE_TIMEOUT",  "IDLE_TIMEOUT",         "REQUEST_TIMEOUT",
    "DRAIN_DELAY",         "DRAIN_TIMEOUT",       "WEBSOCKET_LIFETIME"};

}  // namespace

TEST_CASE("settings: choices are accepted in any letter case", "[unit][settings]") {
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

TEST_CASE("settings: a duration that would be rounded to 0 is refused, because 0 means off",
          "[unit][settings]") {
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

TEST_CASE("settings: a fault shows strange values escaped and cut", "[unit][settings]") {
  const auto fault = refuse("PORT", "\x1b[31m" + std::string(5000, 'x'));
  CHECK(contains(fault, "\\x1b[31m"));
  CHECK(fault.size() < 400);
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
  CHECK(accept("MODEL_ALIASES", "claude-opus-*=m").model_aliases.front().name == "claude-opus-*");
  CHECK(contains(refuse("MODEL_ALIASES", "a*b*=c"), "more than one *"));
  CHECK(accept("PASSTHROUGH_PATHS", "/v1/files/, /v1/batches,/v1/files").passthrough_paths ==
        std::vector<std::string>{"/v1/files", "/v1/batches"});
  for (const char* bad : {"v1/files", "/v1/fi les", "/v1/files?x"}) refuse("PASSTHROUGH_PATHS", bad);
}

TEST_CASE("settings: CORS_ORIGINS are whole origins, each in one spelling and once", "[settings][cors]") {
  const auto values =
      accept("CORS_ORIGINS", "https://App.example.com:443, http://localhost:5173,https://app.example.com,");
  CHECK(values.cors_origins == std::vector<std::string>{"https://app.example.com", "http://localhost:5173"});
  CHECK(contains(print_config(values),
                 "LLM_PROXY__CORS_ORIGINS=https://app.example.com,http://localhost:5173\n"));
  CHECK(contains(refuse("CORS_ORIGINS", "*"),
                 "\"*\" is refused, because it would let the pages of every site in"));
  CHECK(contains(refuse("CORS_ORIGINS", "https://a.example,https://b.example/"),
                 "\"https://b.example/\" has a path, but an origin ends with its host or port"));
  CHECK(contains(refuse("CORS_ORIGINS", "app.example.com"), "\"app.example.com\" has no scheme"));
  CHECK(contains(refuse("CORS_ORIGINS", "x://" + std::string(300, 'x')), "scheme://host[:port]"));
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
