#include "config/option_table.hpp"

#include <charconv>
#include <chrono>
#include <concepts>
#include <numeric>

namespace llm_proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t million = 1'000'000;
constexpr std::uint64_t month = 30ULL * 24 * 3600 * 1000;
// The traits of a row.
constexpr unsigned open = 0, secret = option::secret, live = option::live, standard = option::standard;
constexpr std::string_view service = "Service", upstream = "Upstream", deadlines = "Deadlines",
                           mock = "Mock mode", traces = "Traces";

using s = settings;  // keeps the rows short

// clang-format off
const std::array table{
    option{"LLM_MODE", &s::llm_mode, kind::choice, 0, 0, open, service, "What answers: a LiteLLM proxy, or the built-in mock."},
    option{"INTERNAL_API_KEY", &s::internal_api_key, kind::key, 1, 4096, secret, service, "Key that clients must send (x-internal-auth, Authorization: Bearer or x-api-key)."},
    option{"INTERNAL_API_KEYS_FILE", &s::internal_api_keys_file, kind::file, 0, 4096, open, service, "JSON file of further keys with names, expiry, limits, models and routes; read again on SIGHUP. With it the default of INTERNAL_API_KEY is no key."},
    option{"LOG_LEVEL", &s::log_level, kind::choice, 0, 0, live, service, "Least level that is logged."},
    option{"VERSION", &s::version, kind::text, 1, 100, open, service, "Version that /health and --version show."},
    option{"UI", &s::ui, kind::flag, 0, 0, live, service, "Serve the pages: dashboard (/), docs (/docs) and /openapi.json."},
    option{"CORS_ORIGINS", &s::cors_origins, kind::origins, 0, 300, live, service, "Origins of web pages that may use this service from a browser, with a key; empty = no page of another origin."},
    option{"HOST", &s::host, kind::address, 1, 64, open, service, "Address to listen on."},
    option{"PORT", &s::port, kind::count, 0, 65535, open, service, "Port to listen on; 0 = any free one. Plain PORT is used if this one is unset."},
    option{"ADMIN_PORT", &s::admin_port, kind::count, 0, 65535, open, service, "Port on HOST that serves only /metrics and /health, without a key; 0 = no such port."},
    option{"METRICS_PUBLIC", &s::metrics_public, kind::flag, 0, 0, live, service, "Whether /metrics on the main port needs no key."},
    option{"THREADS", &s::threads, kind::count, 0, 1024, open, service, "I/O threads; 0 = number of cores."},
    option{"TLS_CERT_FILE", &s::tls_cert_file, kind::file, 0, 4096, open, service, "Certificate of the service, followed by its chain (PEM): turns TLS on; read again on SIGHUP."},
    option{"TLS_KEY_FILE", &s::tls_key_file, kind::file, 0, 4096, open, service, "Private key of TLS_CERT_FILE (PEM, no passphrase)."},
    option{"TLS_CLIENT_CA_FILE", &s::tls_client_ca_file, kind::file, 0, 4096, open, service, "Certificate authorities (PEM): every client then needs a certificate that one of them signed."},
    option{"MAX_CONNECTIONS", &s::max_connections, kind::count, 0, million, open, service, "Client connections at once. To take in more, idle ones are closed; if none is idle, clients wait in the system's backlog. 0 = half of the limit on open files, less a reserve (64, or 16 and 8 per thread)."},
    option{"MAX_CONCURRENT_REQUESTS", &s::max_concurrent_requests, kind::count, 0, million, live, service, "Requests served at once, over all clients; 0 = no limit."},
    option{"QUEUE_SIZE", &s::queue_size, kind::count, 0, million, live, service, "How many requests of one key may wait when a limit of concurrent requests is reached; 0 = they are refused at once."},
    option{"QUEUE_TIMEOUT", &s::queue_timeout, kind::seconds, 0, month, live, service, "How long a request may wait in the queue."},
    option{"MAX_MEMORY", &s::max_memory, kind::bytes, 0, 1024 * gib, live, service, "Memory of the process (RSS) above which new requests are refused with 503; 0 = no limit."},
    option{"MAX_BODY_BYTES", &s::max_body_bytes, kind::bytes, 1, 4 * gib, live, service, "Largest request body; a larger one is refused with 413."},
    option{"WEBSOCKETS", &s::websockets, kind::flag, 0, 0, live, service, "Serve WebSockets (GET /v1/responses). Off: such requests get 426, and clients use POST."},
    option{"WEBSOCKET_MEMORY", &s::websocket_memory, kind::bytes, 0, gib, live, service, "Bytes that a WebSocket keeps of its latest responses, to continue those that are not stored upstream; the oldest are forgotten first."},
    option{"WEBSOCKET_LIFETIME", &s::websocket_lifetime, kind::seconds, 0, month, live, service, "After this time a WebSocket takes no more responses, and closes when those in flight have ended."},
    option{"LITELLM_PROXY_URL", &s::litellm_proxy_url, kind::urls, 1, 2000, live, upstream, "Where LiteLLM listens; a path is put before the path of every request. Several addresses share the load and replace each other."},
    option{"LITELLM_API_KEY", &s::litellm_api_key, kind::key, 0, 4096, secret | live, upstream, "Key for LiteLLM; if it is empty, no key is sent."},
    option{"LITELLM_CA_FILE", &s::litellm_ca_file, kind::file, 0, 4096, live, upstream, "Certificate authorities (PEM) for an https LiteLLM, instead of the system's."},
    option{"LITELLM_CLIENT_CERT_FILE", &s::litellm_client_cert_file, kind::file, 0, 4096, live, upstream, "Client certificate for an https LiteLLM that asks for one, followed by its chain (PEM)."},
    option{"LITELLM_CLIENT_KEY_FILE", &s::litellm_client_key_file, kind::file, 0, 4096, live, upstream, "Private key of LITELLM_CLIENT_CERT_FILE (PEM, no passphrase)."},
    option{"DEFAULT_MODEL", &s::default_model, kind::text, 1, 200, live, upstream, "Model for requests whose model is the empty string."},
    option{"MODEL_ALIASES", &s::model_aliases, kind::aliases, 0, 200, live, upstream, "Names that clients may use for models; upstream gets the model's id, the list shows both. One * in a name stands for any characters (claude-opus-*=claude-opus-4-8); names without it come first, then the first that fits."},
    option{"PASSTHROUGH_PATHS", &s::passthrough_paths, kind::paths, 0, 64, live, upstream, "Further paths that go to LiteLLM unchanged, with everything below them; LiteLLM's management never does."},
    option{"ERROR_STYLE", &s::error_style, kind::choice, 0, 0, live, upstream, "How clients get LiteLLM's errors: as OpenAI errors without LiteLLM's internals, or byte for byte."},
    option{"ACCOUNT_USAGE", &s::account_usage, kind::flag, 0, 0, live, upstream, "Ask LiteLLM for the usage of every streamed chat. A usage chunk that the client did not ask for is counted and not passed on."},
    option{"STREAM_TIMING", &s::stream_timing, kind::flag, 0, 0, live, upstream, "End every stream with an SSE comment that says where its time went; the server-timing header comes too early to say it."},
    option{"FORWARD_HEADERS", &s::forward_headers, kind::names, 0, 64, live, upstream, "Further client headers that are sent to LiteLLM, besides the built-in list; one * in a name stands for any characters. Credentials are never sent."},
    option{"CALLER_TO_LITELLM", &s::caller_to_litellm, kind::choice, 0, 0, live, upstream, "Whether LiteLLM learns the name of a client's key, as the end user (x-litellm-end-user-id) or as a tag (x-litellm-tags), and its address (x-forwarded-for); clients with a key of the file may then send no end user, tags or spend metadata in headers."},
    option{"ADAPTER_POOL_SIZE", &s::adapter_pool_size, kind::count, 0, 4096, live, upstream, "Adapter actors in all, at least one per thread; 0 = number of threads."},
    option{"ADAPTER_MAX_CONCURRENT", &s::adapter_max_concurrent, kind::count, 0, million, live, upstream, "Requests in flight per adapter; 0 = no limit."},
    option{"RETRIES", &s::retries, kind::count, 0, 10, live, upstream, "How often a request is tried again that ended with 429, 502, 503 or 504 before its client got a byte. All retries together are at most a tenth of the requests."},
    option{"CLIENT_HEAD_TIMEOUT", &s::client_head_timeout, kind::seconds, 0, month, open, deadlines, "From the first byte of a request to the end of its head; for the first request, from the beginning of the connection."},
    option{"CLIENT_BODY_TIMEOUT", &s::client_body_timeout, kind::seconds, 0, month, open, deadlines, "How long the whole request body may take, however slowly it arrives."},
    option{"CLIENT_WRITE_TIMEOUT", &s::client_write_timeout, kind::seconds, 0, month, open, deadlines, "How long a client may read nothing of its answer."},
    option{"KEEP_ALIVE_TIMEOUT", &s::keep_alive_timeout, kind::seconds, 0, month, open, deadlines, "How long a client connection may be idle after an answer; also before its first request if CLIENT_HEAD_TIMEOUT is off."},
    option{"CONNECT_TIMEOUT", &s::connect_timeout, kind::seconds, 0, month, live, deadlines, "How long connecting to LiteLLM may take, name look-up and TLS included."},
    option{"FIRST_BYTE_TIMEOUT", &s::first_byte_timeout, kind::seconds, 0, month, live, deadlines, "How long LiteLLM may take from the end of the request to the first byte of its answer; this is the time to the first token."},
    option{"STREAM_COMMIT_AFTER", &s::stream_commit_after, kind::seconds, 0, month, live, deadlines, "After this time without an event a stream is opened with 200 and kept alive by comments; off: its status waits for the first event."},
    option{"IDLE_TIMEOUT", &s::idle_timeout, kind::seconds, 0, month, live, deadlines, "How long LiteLLM may be silent within an answer."},
    option{"REQUEST_TIMEOUT", &s::request_timeout, kind::seconds, 0, month, live, deadlines, "How long a whole request may take."},
    option{"DRAIN_DELAY", &s::drain_delay, kind::seconds, 0, month, live, deadlines, "How long the service listens on after SIGTERM or SIGINT, while /health/ready says 503."},
    option{"DRAIN_TIMEOUT", &s::drain_timeout, kind::seconds, 0, month, live, deadlines, "How long requests in flight may take after SIGTERM or SIGINT; off: as long as they take."},
    option{"MOCK_CHUNK_DELAY_MS", &s::mock_chunk_delay_ms, kind::millis, 0, 3'600'000, live, mock, "Pause before each word of a mocked stream."},
    option{"OTEL_EXPORTER_OTLP_ENDPOINT", &s::otel_exporter_otlp_endpoint, kind::url, 1, 2000, standard, traces, "OpenTelemetry collector (OTLP/HTTP, JSON) that gets a span of each request, at /v1/traces below this URL. Without it there are no traces."},
    option{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &s::otel_exporter_otlp_traces_endpoint, kind::url, 1, 2000, standard, traces, "The same, with its whole path. Also read, and preferred for traces: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, _HEADERS, _CERTIFICATE and _TIMEOUT."},
    option{"OTEL_EXPORTER_OTLP_PROTOCOL", &s::otel_exporter_otlp_protocol, kind::text, 1, 100, standard, traces, "Always http/json. http/protobuf causes a warning and is read as http/json; grpc causes a warning, and nothing is sent."},
    option{"OTEL_EXPORTER_OTLP_HEADERS", &s::otel_exporter_otlp_headers, kind::key, 0, 8192, secret | standard, traces, "Headers for the collector: name=value pairs, comma-separated, values percent-encoded."},
    option{"OTEL_EXPORTER_OTLP_CERTIFICATE", &s::otel_exporter_otlp_certificate, kind::file, 0, 4096, standard, traces, "Certificate authorities (PEM) for an https collector, instead of the system's."},
    option{"OTEL_EXPORTER_OTLP_TIMEOUT", &s::otel_exporter_otlp_timeout, kind::millis, 1, month, standard, traces, "How long one export may take."},
    option{"OTEL_TRACES_EXPORTER", &s::otel_traces_exporter, kind::text, 1, 100, standard, traces, "otlp, or none for no traces."},
    option{"OTEL_TRACES_SAMPLER", &s::otel_traces_sampler, kind::choice, 0, 0, standard, traces, "Which traces are recorded."},
    option{"OTEL_TRACES_SAMPLER_ARG", &s::otel_traces_sampler_arg, kind::ratio, 0, 1, standard, traces, "The share of traces that the ratio samplers record."},
    option{"OTEL_SERVICE_NAME", &s::otel_service_name, kind::text, 1, 200, standard, traces, "service.name of the spans."},
    option{"OTEL_RESOURCE_ATTRIBUTES", &s::otel_resource_attributes, kind::key, 0, 8192, standard, traces, "Further attributes of the service: name=value pairs, comma-separated, values percent-encoded."},
    option{"OTEL_BSP_SCHEDULE_DELAY", &s::otel_bsp_schedule_delay, kind::millis, 1, month, standard, traces, "How long a span waits for its export."},
    option{"OTEL_BSP_MAX_QUEUE_SIZE", &s::otel_bsp_max_queue_size, kind::count, 1, million, standard, traces, "Spans that may wait; more of them are dropped and counted."},
    option{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", &s::otel_bsp_max_export_batch_size, kind::count, 1, 100'000, standard, traces, "Most spans of one export; this many are sent without delay."},
    option{"OTEL_SDK_DISABLED", &s::otel_sdk_disabled, kind::flag, 0, 0, standard, traces, "Turn traces off, whatever else is set."},
};
// clang-format on

std::string format_duration(milliseconds time) {
  const auto ms = time.count();
  if (ms == 0) return "0";
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0 && ms >= 120'000) return std::to_string(ms / 60'000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes != 0 && bytes % gib == 0) return std::to_string(bytes / gib) + "GiB";
  if (bytes != 0 && bytes % (1 << 20) == 0) return std::to_string(bytes >> 20) + "MiB";
  if (bytes != 0 && bytes % 1024 == 0) return std::to_string(bytes >> 10) + "KiB";
  return std::to_string(bytes);
}

template <class Names>
std::string one_of(const Names& names) {
  std::string out = "one of";
  for (std::size_t i = 0; i < names.size(); ++i) (out += i == 0 ? " " : ", ") += names[i].first;
  return out;
}

template <class Names, class T>
std::string name_of(const Names& names, T value) {
  for (const auto& [name, meaning] : names)
    if (meaning == value) return std::string{name};
  return {};
}

std::string show(const option&, llm_mode value) {
  return name_of(mode_names, value);
}
std::string show(const option&, log_level value) {
  return name_of(level_names, value);
}
std::string show(const option&, error_style value) {
  return name_of(style_names, value);
}
std::string show(const option&, caller_to_litellm value) {
  return name_of(caller_names, value);
}
std::string show(const option&, otel_sampler value) {
  return name_of(sampler_names, value);
}
std::string show(const option&, std::same_as<double> auto value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}
std::string show(const option&, std::same_as<bool> auto value) {
  return value ? "true" : "false";
}
std::string show(const option&, const std::vector<model_alias>& value) {
  std::string out;
  for (const auto& [name, model] : value)
    (out += out.empty() ? "" : ",").append(name).append("=").append(model);
  return out;
}
std::string show(const option&, const std::string& value) {
  return value;
}
std::string show(const option& o, std::uint64_t value) {
  return o.type == kind::bytes ? format_bytes(value) : std::to_string(value);
}
std::string show(const option& o, milliseconds value) {
  return o.type == kind::millis ? std::to_string(value.count()) : format_duration(value);
}
std::string show(const option&, const std::vector<std::string>& value) {
  return std::accumulate(value.begin(), value.end(), std::string{},
                         [](std::string out, const std::string& name) {
                           return out.empty() ? name : std::move(out) + "," + name;
                         });
}

std::string choices(const option& o) {
  if (std::holds_alternative<llm_mode settings::*>(o.place)) return one_of(mode_names);
  if (std::holds_alternative<error_style settings::*>(o.place)) return one_of(style_names);
  if (std::holds_alternative<caller_to_litellm settings::*>(o.place)) return one_of(caller_names);
  if (std::holds_alternative<otel_sampler settings::*>(o.place)) return one_of(sampler_names);
  return one_of(level_names);
}

}  // namespace

std::span<const option> options() {
  return table;
}

std::string env_name(const option& o) {
  return std::string{o.is_standard() ? std::string_view{} : env_prefix}.append(o.name);
}

std::string accepted(const option& o) {
  const auto most = std::to_string(o.most);
  const auto longest = "at most " + format_duration(milliseconds{o.most});
  switch (o.type) {
    case kind::choice:
      return choices(o) + " (any letter case)";
    case kind::text:
      return "text of 1 to " + most + " bytes of UTF-8 without control characters, quotes and backslashes";
    case kind::key:
      return "text of " + std::to_string(o.least) + " to " + most +
             " bytes without control bytes, no blank at either end";
    case kind::urls:
      return "http:// or https://, a host, optionally :port and /path; no user name, query or fragment; "
             "several comma-separated";
    case kind::url:
      return "http:// or https://, a host, optionally :port and /path; no user name, query or fragment";
    case kind::ratio:
      return "a number from " + std::to_string(o.least) + " to " + most;
    case kind::address:
      return "an IP address (IPv6 without brackets) or localhost";
    case kind::file:
      return "the path of a file";
    case kind::count:
      return "a whole number from " + std::to_string(o.least) + " to " + most;
    case kind::bytes:
      return "bytes, or with unit KiB, MiB or GiB, from " + std::to_string(o.least) + " to " +
             format_bytes(o.most);
    case kind::paths:
      return "paths such as /v1/skills, comma-separated";
    case kind::origins:
      return "scheme://host[:port] without a path and without *, such as https://app.example.com, "
             "comma-separated";
    case kind::aliases:
      return "name=model pairs, comma-separated";
    case kind::flag:
      return "true or false";
    case kind::names:
      return "header names, comma-separated";
    case kind::seconds:
      return "a duration such as 500ms, 30s, 10m or 1h (a bare number: seconds), " + longest + "; 0 = off";
    case kind::millis:
      return "a duration such as 50 (a bare number: milliseconds), 500ms or 2s, " + longest;
  }
  return {};
}

std::string show(const option& o, const settings& values) {
  return std::visit([&](auto place) { return show(o, values.*place); }, o.place);
}

}  // namespace llm_proxy
