// The options that an operator can set: one member per option here, one table row per option in
// option_table.cpp. Everything that reads or shows options (parser, --help, --print-config, .env.example,
// docs/options.md) is made from those rows.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

enum class llm_mode : std::uint8_t { litellm, mock };
/// Which error text a client gets when upstream answers with an error.
enum class error_style : std::uint8_t { normalized, raw };
/// Whether LiteLLM gets the name of the key that a request came with, and in which form.
enum class caller_to_litellm : std::uint8_t { off, end_user, tag };
/// The values of OTEL_TRACES_SAMPLER.
enum class otel_sampler : std::uint8_t {
  always_on,
  always_off,
  traceidratio,
  parentbased_always_on,
  parentbased_always_off,
  parentbased_traceidratio
};
enum class log_level : std::uint8_t { trace, debug, info, warning, error, critical };

/// A name that clients may use for a model, and the id that upstream gets for it.
struct model_alias {
  std::string name;
  std::string model;
  bool operator==(const model_alias&) const = default;
};

/// Every option is the environment variable `LLM_PROXY__<MEMBER>`, except for those that OpenTelemetry names.
/// The initialisers are the defaults.
struct settings {
  llm_proxy::llm_mode llm_mode = llm_proxy::llm_mode::litellm;
  std::string internal_api_key = "change-me-internal-key";
  std::string internal_api_keys_file;  // empty if there is none
  llm_proxy::log_level log_level = llm_proxy::log_level::info;
  std::string version = "0.1.0";
  bool ui = true;
  std::vector<std::string> cors_origins;  // as read_origin() returns them, without duplicates

  std::string host = "127.0.0.1";  // an IP address without brackets, or "localhost"
  std::uint16_t port = 8002;       // 0 = any free port
  std::uint16_t admin_port = 0;    // 0 = no separate port for operators
  bool metrics_public = false;
  std::size_t threads = 0;    // 0 = number of cores, see thread_count()
  std::string tls_cert_file;  // PEM; empty for no TLS
  std::string tls_key_file;
  std::string tls_client_ca_file;
  std::size_t max_connections = 0;  // 0 = the descriptor limit less 64
  std::size_t max_concurrent_requests = 0;
  std::size_t queue_size = 0;
  std::chrono::milliseconds queue_timeout{std::chrono::seconds{10}};
  std::size_t max_memory = 0;
  std::size_t max_body_bytes = std::size_t{32} << 20;
  bool websockets = true;
  std::size_t websocket_memory = std::size_t{4} << 20;
  std::chrono::milliseconds websocket_lifetime{std::chrono::hours{1}};

  /// One to 32 addresses, each http(s)://host[:port][/path] and nothing else.
  std::vector<std::string> litellm_proxy_url{"http://localhost:4000"};
  std::string litellm_api_key;
  std::string litellm_ca_file;           // PEM; empty for the system's authorities
  std::string litellm_client_cert_file;  // PEM; empty to present none
  std::string litellm_client_key_file;
  std::string default_model = "gpt-3.5-turbo";
  std::vector<model_alias> model_aliases;
  std::vector<std::string> passthrough_paths;  // prefixes, each beginning with a slash
  std::vector<std::string> forward_headers;    // lower case, without duplicates
  llm_proxy::caller_to_litellm caller_to_litellm = llm_proxy::caller_to_litellm::off;
  llm_proxy::error_style error_style = llm_proxy::error_style::normalized;
  bool account_usage = false;
  bool stream_timing = false;
  std::size_t adapter_pool_size = 0;  // 0 = number of threads
  std::size_t adapter_max_concurrent = 0;
  std::size_t retries = 0;

  // The deadlines of the phases of a request; 0 = off.
  std::chrono::milliseconds client_head_timeout{std::chrono::seconds{10}};
  std::chrono::milliseconds client_body_timeout{std::chrono::seconds{60}};
  std::chrono::milliseconds client_write_timeout{std::chrono::seconds{60}};
  std::chrono::milliseconds keep_alive_timeout{std::chrono::seconds{75}};
  std::chrono::milliseconds connect_timeout{std::chrono::seconds{5}};
  std::chrono::milliseconds first_byte_timeout{std::chrono::minutes{10}};
  std::chrono::milliseconds stream_commit_after{std::chrono::seconds{20}};
  std::chrono::milliseconds idle_timeout{std::chrono::minutes{2}};
  std::chrono::milliseconds request_timeout{0};
  std::chrono::milliseconds drain_delay{0};
  std::chrono::milliseconds drain_timeout{std::chrono::minutes{10}};

  std::chrono::milliseconds mock_chunk_delay_ms{50};

  // The options of OpenTelemetry, with its defaults.
  bool otel_sdk_disabled = false;
  std::string otel_traces_exporter = "otlp";
  std::string otel_exporter_otlp_endpoint;  // no traces if both are empty
  std::string otel_exporter_otlp_traces_endpoint;
  std::string otel_exporter_otlp_protocol = "http/json";  // the only protocol that is implemented
  std::string otel_exporter_otlp_headers;
  std::string otel_exporter_otlp_certificate;  // PEM; empty for the system's authorities
  std::chrono::milliseconds otel_exporter_otlp_timeout{std::chrono::seconds{10}};
  std::string otel_service_name = "llm-proxy";
  std::string otel_resource_attributes;
  otel_sampler otel_traces_sampler = otel_sampler::parentbased_always_on;
  double otel_traces_sampler_arg = 1;  // for the ratio samplers
  std::chrono::milliseconds otel_bsp_schedule_delay{std::chrono::seconds{5}};
  std::size_t otel_bsp_max_queue_size = 2048;
  std::size_t otel_bsp_max_export_batch_size = 512;

  /// Returns the number of I/O threads, at least one.
  std::size_t thread_count() const;

  bool operator==(const settings&) const = default;
};

/// `values` is always complete, with defaults in place of invalid values. Serve only if `faults` is empty.
struct parsed_settings {
  settings values;
  std::vector<std::string> warnings;
  std::vector<std::string> faults;
  std::string file = {};          ///< that was read besides the environment; empty if none was
  bool file_has_options = false;  ///< the file assigns something
  std::string unreadable = {};    ///< why an existing file cannot be read; empty if it can
};

/// Parses and checks all options. It is a pure function. Other variables are ignored, except for plain
/// `PORT`, and for `OTEL_EXPORTER_OTLP_TRACES_…`, which wins over the variable without `TRACES_`. An empty
/// value counts as unset, but an empty INTERNAL_API_KEY is a fault.
parsed_settings parse_settings(const std::map<std::string, std::string>& environment);

/// Returns whether INTERNAL_API_KEY lets clients in. The default key, which everybody knows, does not if
/// there is a keys file.
bool internal_key_counts(const settings& values);

/// Returns whether the default of INTERNAL_API_KEY, which everybody knows, lets clients in.
bool default_key_counts(const settings& values);

/// Returns a sentence that says why `values` must not be served on `address`, an IP address or a name: the
/// default key would let other machines in. Returns an empty text if they may be served. `what` is how the
/// sentence calls the address.
std::string refuse_default_key(const settings& values, std::string_view address, std::string_view what);

/// Returns whether only this machine can reach a listener on `host` (127.0.0.0/8, ::1, localhost).
bool is_loopback(std::string_view host);

/// Returns what is wrong with a name in a file of options if it is that of an option without its prefix;
/// empty if nothing is. PORT and the names of OpenTelemetry need no prefix.
std::string warn_of_bare_name(std::string_view name);

std::string help_text();
/// Returns the effective options as `.env` lines, with secrets masked. `  # default` marks values that are
/// the default.
std::string print_config(const settings& values);
std::string env_example();
std::string readme_options_table();

}  // namespace llm_proxy
