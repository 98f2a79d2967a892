#include "http/telemetry/otlp.hpp"

#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"
#include "http/text/text.hpp"

#include <algorithm>
#include <charconv>

namespace llm_proxy {

namespace {

/// In bytes. No real model id is longer, and longer values are cut.
constexpr std::size_t longest_value = 256;
// Numbers that the protocol defines.
constexpr std::string_view kind_client = "3", status_error = "2";

/// LiteLLM's names for providers, and the different names in the conventions.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> provider_names{{
    {"azure", "azure.ai.openai"},
    {"azure_ai", "azure.ai.inference"},
    {"bedrock", "aws.bedrock"},
    {"gemini", "gcp.gemini"},
    {"mistral", "mistral_ai"},
    {"vertex_ai", "gcp.vertex_ai"},
    {"watsonx", "ibm.watsonx.ai"},
    {"xai", "x_ai"},
}};

std::string_view provider_name(std::string_view litellm_name) {
  for (const auto& [theirs, conventional] : provider_names) {
    if (theirs == litellm_name) return conventional;
  }
  return litellm_name;
}

/// Returns `text`, cut between two characters if it is too long.
std::string_view shortened(std::string_view text) {
  if (text.size() <= longest_value) return text;
  auto size = longest_value;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

std::string in_digits(std::int64_t number) {
  return '"' + std::to_string(number) + '"';  // 64-bit numbers are strings in protobuf's JSON
}

/// A list of attributes that is being written.
class attribute_list {
 public:
  explicit attribute_list(std::string& out) : out_{out} { out_ += R"("attributes":[)"; }
  void text(std::string_view key, std::string_view value) {
    if (!value.empty()) add(key, R"({"stringValue":)" + json_quoted(shortened(value)) + '}');
  }
  void number(std::string_view key, std::uint64_t value) {
    add(key, R"({"intValue":)" + in_digits(static_cast<std::int64_t>(value)) + '}');
  }
  void flag(std::string_view key, bool value) {
    add(key, value ? R"({"boolValue":true})" : R"({"boolValue":false})");
  }
  void end() { out_ += ']'; }

 private:
  void add(std::string_view key, const std::string& value) {
    if (out_.back() != '[') out_ += ',';
    out_ += R"({"key":)" + json_quoted(key) + R"(,"value":)" + value + '}';
  }

  std::string& out_;
};

void add_server(attribute_list& all, std::string_view server) {
  const auto colon = server.rfind(':');
  if (colon == std::string_view::npos) return;
  all.text("server.address", server.substr(0, colon));
  const auto port = parse_number<std::uint64_t>(server.substr(colon + 1)).value_or(0);
  if (port != 0) all.number("server.port", port);
}

void add_attributes(std::string& out, const span_record& span) {
  attribute_list all{out};
  all.text("gen_ai.operation.name", span.operation);
  const auto provider = provider_name(span.provider);
  all.text("gen_ai.provider.name", provider);
  all.text("gen_ai.system", provider);  // the earlier name, which most tools still look for
  all.text("gen_ai.request.model", span.model);
  all.text("gen_ai.response.model", span.response_model);
  if (span.usage) {
    all.number("gen_ai.usage.input_tokens", span.usage->prompt_tokens);
    all.number("gen_ai.usage.output_tokens", span.usage->completion_tokens);
  }
  all.text("http.request.method", span.method);
  all.text("http.route", span.route);
  if (span.status != 0) all.number("http.response.status_code", span.status);
  if (!span.complete) all.text("error.type", span.verdict);
  add_server(all, span.server);
  all.text("llm_proxy.key", span.key);
  all.text("llm_proxy.request_id", span.request_id);
  all.flag("llm_proxy.stream", span.stream);
  if (span.retries > 0) all.number("llm_proxy.retries", span.retries);
  all.end();
}

void add_span(std::string& out, const span_record& span) {
  out.append(R"({"traceId":")").append(span.context.trace_id());
  out.append(R"(","spanId":")").append(span.context.span_id()).append("\",");
  if (!span.parent_span_id.empty()) {
    out += R"("parentSpanId":)" + json_quoted(span.parent_span_id) + ',';
  }
  if (!span.trace_state.empty()) out += R"("traceState":)" + json_quoted(span.trace_state) + ',';
  std::string name{span.operation.empty() ? std::string_view{span.method} : span.operation};
  const auto of = span.operation.empty() || span.model.empty() ? span.route : std::string_view{span.model};
  name.append(" ").append(shortened(of));
  out += R"("name":)" + json_quoted(name);
  out.append(R"(,"kind":)").append(kind_client);
  out += R"(,"startTimeUnixNano":)" + in_digits(span.began);
  out += R"(,"endTimeUnixNano":)" + in_digits(span.ended) + ',';
  add_attributes(out, span);
  out += R"(,"events":[)";
  for (const auto& event : span.events) {
    if (event.name.empty()) continue;
    if (out.back() != '[') out += ',';
    out += R"({"timeUnixNano":)" + in_digits(event.at) + R"(,"name":)" + json_quoted(event.name) + '}';
  }
  out += ']';
  if (!span.complete) out.append(R"(,"status":{"code":)").append(status_error).append("}");
  out += '}';
}

}  // namespace

std::string otlp_traces(const otlp_resource& from, std::span<const span_record> spans) {
  std::string out;
  out.reserve(1024 + spans.size() * 1536);
  out += R"({"resourceSpans":[{"resource":{)";
  attribute_list resource{out};
  for (const auto& [key, value] : from.attributes) resource.text(key, value);
  resource.end();
  out += R"(},"scopeSpans":[{"scope":{"name":"llm-proxy","version":)" + json_quoted(from.version);
  out += R"(},"spans":[)";
  for (const auto& span : spans) {
    if (out.back() != '[') out += ',';
    add_span(out, span);
  }
  return out + "]}]}]}";
}

std::uint64_t rejected_spans(std::string_view answer) {
  std::uint64_t rejected = 0;
  for_each_member(answer, [&](std::string_view name, json_token kind, std::string_view partial) {
    if (name != "partialSuccess" || kind != json_token::begin_object) return;
    for_each_member(partial, [&](std::string_view member, json_token, std::string_view value) {
      if (member != "rejectedSpans") return;
      if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
      rejected = parse_number<std::uint64_t>(value).value_or(rejected);
    });
  });
  return rejected;
}

}  // namespace llm_proxy
