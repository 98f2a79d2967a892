// Our span between the caller's and LiteLLM's, and its way to a collector.
#include "http/trace_context.hpp"
#include "support/catch.hpp"
#include "support/certificate.hpp"
#include "support/upstream_chat.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

const std::string caller_trace = "0af7651916cd43dd8448eb211c80319c";
const std::string caller_span = "b7ad6b7169203331";
const std::string caller = "00-" + caller_trace + "-" + caller_span + "-01";
const std::string caller_unsampled = "00-" + caller_trace + "-" + caller_span + "-00";
constexpr std::string_view canary = "canary-5f2c";

/// One span as a collector got it: its attributes as texts, whatever their type.
struct seen_span {
  std::string trace, span, parent, state, name;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> events;
  std::int64_t began = 0, ended = 0;
  bool is_error = false;
};

std::string text_of(const rapidjson::Value& value) {
  if (value.HasMember("stringValue")) return value["stringValue"].GetString();
  if (value.HasMember("intValue")) return value["intValue"].GetString();
  return value["boolValue"].GetBool() ? "true" : "false";
}

std::vector<seen_span> spans_in(const std::string& body) {
  rapidjson::Document json;
  json.Parse(body.c_str(), body.size());
  INFO(body);
  REQUIRE_FALSE(json.HasParseError());
  std::vector<seen_span> all;
  for (const auto& span : json["resourceSpans"][0]["scopeSpans"][0]["spans"].GetArray()) {
    seen_span seen;
    seen.trace = span["traceId"].GetString();
    seen.span = span["spanId"].GetString();
    seen.name = span["name"].GetString();
    if (span.HasMember("parentSpanId")) seen.parent = span["parentSpanId"].GetString();
    if (span.HasMember("traceState")) seen.state = span["traceState"].GetString();
    for (const auto& each : span["attributes"].GetArray())
      seen.attributes[each["key"].GetString()] = text_of(each["value"]);
    for (const auto& each : span["events"].GetArray()) seen.events.emplace_back(each["name"].GetString());
    seen.began = std::stoll(span["startTimeUnixNano"].GetString());
    seen.ended = std::stoll(span["endTimeUnixNano"].GetString());
    seen.is_error = span.HasMember("status") && span["status"]["code"].GetInt() == 2;
    all.push_back(std::move(seen));
  }
  return all;
}

upstream_script accepts_spans() {
  return [](const upstream_request&, upstream_reply& reply) { reply.json(200, "{}"); };
}

/// All spans that `collector` got, once there are `count` of them.
std::vector<seen_span> spans_of(const scripted_upstream& collector, std::size_t count) {
  std::vector<seen_span> all;
  eventually([&] {
    all.clear();
    for (const auto& req : collector.requests()) {
      if (!req.body_complete) continue;
      for (auto& each : spans_in(req.body)) all.push_back(std::move(each));
    }
    return all.size() >= count;
  });
  return all;
}

settings traced_settings(const scripted_upstream& up, const std::string& collector_url) {
  auto values = litellm_settings(up.url());
  values.otel_exporter_otlp_endpoint = collector_url;
  values.otel_bsp_schedule_delay = milliseconds{20};
  return values;
}

const std::string usage_stop =
    R"({"model":"m-2026-01","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":9}})";

/// A stream for who asks for one, an error for the model "fails", else a completion.
upstream_script answers() {
  return chats([](const upstream_request& req, upstream_reply& reply) {
    if (contains(req.body, "\"fails\"")) {
      reply.json(500, R"({"error":{"message":"canary-5f2c","type":"None","code":"500"}})");
    } else if (req.is_true("stream")) {
      reply.sse({delta, usage_stop, "[DONE]"});
    } else {
      reply.json(
          200,
          R"({"object":"chat.completion","model":"m-2026-01","choices":[{"index":0,"message":{"content":"canary-5f2c"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":9}})");
    }
  });
}

double value_of(const std::string& text, const std::string& sample) {
  const auto at = ("\n" + text).find("\n" + sample + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + sample.size() + 1));
}

double metric(const proxy& service, const std::string& sample) {
  return value_of(get(service, "/metrics").body, sample);
}

}  // namespace

TEST_CASE("traces: our span lies between the caller's and upstream's", "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  proxy service{traced_settings(up, collector.url())};
  const auto before = std::chrono::system_clock::now().time_since_epoch();
  const auto answer =
      chat(service, chat_body("m"), {{"traceparent", caller}, {"tracestate", "a=1"}, {"tracestate", "b=2"}});
  REQUIRE(answer.status == 200);
  const auto asked = wait_for_chat(up);
  REQUIRE(asked.all("traceparent").size() == 1);
  const auto passed = parse_traceparent(asked.header("traceparent"));
  REQUIRE(passed);
  CHECK(passed->trace_id() == caller_trace);
  CHECK(passed->span_id() != caller_span);
  CHECK(passed->sampled);
  CHECK(asked.all("tracestate") == std::vector<std::string>{"a=1", "b=2"});

  const auto spans = spans_of(collector, 1);
  REQUIRE(spans.size() == 1);
  const auto& span = spans.front();
  CHECK(span.trace == caller_trace);
  CHECK(span.parent == caller_span);
  CHECK(span.span == passed->span_id());
  CHECK(span.state == "a=1,b=2");
  CHECK(span.name == "chat m");
  CHECK_FALSE(span.is_error);
  auto expected = std::map<std::string, std::string>{
      {"gen_ai.operation.name", "chat"},      {"gen_ai.request.model", "m"},
      {"gen_ai.response.model", "m-2026-01"}, {"gen_ai.usage.input_tokens", "5"},
      {"gen_ai.usage.output_tokens", "9"},    {"http.request.method", "POST"},
      {"http.route", "/v1/chat/completions"}, {"http.response.status_code", "200"},
      {"server.address", "127.0.0.1"},        {"server.port", std::to_string(up.port())},
      {"llm_proxy.key", "default"},           {"llm_proxy.request_id", answer.header("x-request-id")},
      {"llm_proxy.stream", "false"},
  };
  CHECK(span.attributes == expected);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  CHECK(span.began >= std::chrono::nanoseconds{before}.count());
  CHECK(span.began < span.ended);
  CHECK(span.ended <= std::chrono::nanoseconds{now}.count());
  REQUIRE_FALSE(span.events.empty());
  CHECK(span.events.front() == "upstream_request");
  CHECK(span.events.back() == "first_byte");
}

TEST_CASE("traces: a stream and a failure are told as what they were", "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  proxy service{traced_settings(up, collector.url())};
  CHECK(chat(service, chat_body("m", true)).status == 200);
  CHECK(chat(service, chat_body("fails")).status == 502);
  const auto spans = spans_of(collector, 2);
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].attributes.at("llm_proxy.stream") == "true");
  CHECK(spans[0].attributes.at("gen_ai.response.model") == "m-2026-01");
  CHECK(spans[0].attributes.at("gen_ai.usage.output_tokens") == "9");
  CHECK(spans[1].is_error);
  CHECK(spans[1].attributes.at("error.type") == "upstream_error");
  CHECK(spans[1].attributes.at("http.response.status_code") == "502");
}

TEST_CASE("traces: without a usable parent a new trace begins, and its state is dropped",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  proxy service{traced_settings(up, collector.url())};
  const std::vector<header_list> rows{{},
                                      {{"traceparent", "00-1-2-01"}, {"tracestate", "a=1"}},
                                      {{"traceparent", caller}, {"traceparent", caller}}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    up.clear_requests();
    REQUIRE(chat(service, chat_body("m"), rows[i]).status == 200);
    const auto asked = wait_for_chat(up);
    REQUIRE(asked.all("traceparent").size() == 1);
    const auto passed = parse_traceparent(asked.header("traceparent"));
    REQUIRE(passed);
    CHECK(passed->trace_id() != caller_trace);
    CHECK_FALSE(asked.has("tracestate"));
    const auto spans = spans_of(collector, i + 1);
    REQUIRE(spans.size() == i + 1);
    CHECK(spans.back().trace == passed->trace_id());
    CHECK(spans.back().span == passed->span_id());
    CHECK(spans.back().parent.empty());
  }
}

TEST_CASE("traces: when off, what the caller sent goes upstream untouched", "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto off = litellm_settings(up.url());
  auto disabled = traced_settings(up, collector.url());
  disabled.otel_sdk_disabled = true;
  for (const auto& values : {off, disabled}) {
    proxy service{values};
    for (const auto& value : {caller, caller_unsampled, std::string{"00-1-2-01"}}) {
      up.clear_requests();
      REQUIRE(chat(service, chat_body("m"), {{"traceparent", value}, {"tracestate", "a=1"}}).status == 200);
      const auto asked = wait_for_chat(up);
      CHECK(asked.all("traceparent") == std::vector<std::string>{value});
      CHECK(asked.header("tracestate") == "a=1");
    }
    up.clear_requests();
    REQUIRE(chat(service, chat_body("m")).status == 200);
    CHECK_FALSE(wait_for_chat(up).has("traceparent"));
  }
  CHECK(collector.request_count() == 0);
}

TEST_CASE("traces: a trace that is not recorded is passed on as such, and not exported",
          "[service][traces]") {
  struct row {
    otel_sampler sampler;
    std::string traceparent;
    bool sampled;
  };
  for (const auto& [sampler, traceparent, sampled] : {
           row{otel_sampler::parentbased_always_on, caller, true},
           row{otel_sampler::parentbased_always_on, caller_unsampled, false},
           row{otel_sampler::parentbased_always_off, caller, true},
           row{otel_sampler::parentbased_always_off, "", false},
           row{otel_sampler::always_on, caller_unsampled, true},
           row{otel_sampler::always_off, caller, false},
           row{otel_sampler::traceidratio, caller, false},
           row{otel_sampler::parentbased_traceidratio, caller, true},
       }) {
    INFO(static_cast<int>(sampler) << " " << traceparent);
    scripted_upstream up{answers()};
    scripted_upstream collector{accepts_spans()};
    auto values = traced_settings(up, collector.url());
    values.otel_traces_sampler = sampler;
    values.otel_traces_sampler_arg = 0;  // of the ratios: none
    proxy service{values};
    header_list more;
    if (!traceparent.empty()) more.emplace_back("traceparent", traceparent);
    REQUIRE(chat(service, chat_body("m"), more).status == 200);
    const auto passed = parse_traceparent(wait_for_chat(up).header("traceparent"));
    REQUIRE(passed);
    CHECK(passed->sampled == sampled);
    CHECK(passed->span_id() != caller_span);
    if (!traceparent.empty()) CHECK(passed->trace_id() == caller_trace);
    // Ends once all is exported.
    service.drain_connections(milliseconds{1000});
    CHECK(spans_of(collector, sampled ? 1 : 0).size() == (sampled ? 1 : 0));
  }
}

TEST_CASE("traces: the export is a request as the protocol has it, with the headers that were set",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url("/otlp/"));
  values.otel_exporter_otlp_headers = "authorization=Basic%20abc,x-tenant=blue";
  values.otel_service_name = "gateway";
  values.otel_resource_attributes = "deployment.environment.name=test,service.name=lost";
  {
    proxy service{values};
    chat(service, chat_body("m"));
    const auto got = collector.request_at(0);
    CHECK(got.method == "POST");
    CHECK(got.target == "/otlp/v1/traces");
    CHECK(got.header("content-type") == "application/json");
    CHECK(got.header("authorization") == "Basic abc");
    CHECK(got.header("x-tenant") == "blue");
    for (const auto* part :
         {R"({"key":"service.name","value":{"stringValue":"gateway"}})",
          R"({"key":"deployment.environment.name","value":{"stringValue":"test"}})", "service.instance.id"}) {
      INFO(part);
      CHECK(contains(got.body, part));
    }
    CHECK_FALSE(contains(got.body, "lost"));
  }
  // An address for traces alone is used as it is.
  values.otel_exporter_otlp_traces_endpoint = collector.url("/api/spans");
  collector.clear_requests();
  proxy service{values};
  chat(service, chat_body("m"));
  CHECK(collector.request_at(0).target == "/api/spans");
}

TEST_CASE("traces: many spans are one export, and all come before the service has ended",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url());
  values.otel_bsp_schedule_delay = std::chrono::hours{1};
  values.otel_bsp_max_export_batch_size = 10;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(send_chat(client, chat_body("m")));
    REQUIRE(read_response(client, milliseconds{5000}).status == 200);
  }
  // A full batch does not wait for its time.
  REQUIRE(spans_of(collector, 10).size() == 10);
  CHECK(collector.request_count() == 1);
  for (int i = 0; i < 3; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  std::this_thread::sleep_for(milliseconds{50});
  CHECK(collector.request_count() == 1);
  service.drain_connections(milliseconds{1000});
  CHECK(spans_of(collector, 13).size() == 13);
  CHECK(collector.request_count() == 2);
}

TEST_CASE("traces: a collector that is not there costs requests nothing, and memory only so much",
          "[service][traces]") {
  scripted_upstream up{answers()};
  refused_port nobody;
  auto values = traced_settings(up, nobody.url());
  values.otel_bsp_max_queue_size = 8;
  values.otel_bsp_max_export_batch_size = 4;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 50; ++i) {
    REQUIRE(send_chat(client, chat_body("m")));
    REQUIRE(read_response(client, milliseconds{5000}).status == 200);
  }
  CHECK(metric(service, "llm_proxy_spans_queued") == 8);
  // A batch of at most four is being tried.
  CHECK(metric(service, "llm_proxy_spans_dropped_total") >= 50 - 8 - 4);
  CHECK(metric(service, "llm_proxy_spans_exported_total") == 0);
  const auto began = test_clock::now();
  CHECK(service.drain_connections(milliseconds{1000}));
  CHECK(test_clock::now() - began < std::chrono::seconds{2});
}

TEST_CASE("traces: a collector that hangs delays neither requests nor, for long, the end",
          "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{[](const auto&, upstream_reply& reply) { reply.hang(); }};
  auto values = traced_settings(up, collector.url());
  values.threads = 1;  // the exporter's thread is the requests'
  proxy service{values};
  CHECK(chat(service, chat_body("m")).status == 200);
  REQUIRE(collector.wait_for_requests(1));
  const auto began = test_clock::now();
  for (int i = 0; i < 20; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(test_clock::now() - began < std::chrono::seconds{1});
  const auto drained = test_clock::now();
  CHECK(service.drain_connections(milliseconds{1000}));
  CHECK(test_clock::now() - drained < std::chrono::seconds{4});
}

TEST_CASE("traces: a batch that the collector could not take comes again; one that it refuses does not",
          "[service][traces]") {
  scripted_upstream up{answers()};
  std::atomic<int> status{503};
  scripted_upstream collector{[&](const auto&, upstream_reply& reply) {
    const int now = status.load();
    reply.json(now, now == 200 ? R"({"partialSuccess":{"rejectedSpans":"1"}})" : "{}",
               {{"retry-after", "0"}});
  }};
  proxy service{traced_settings(up, collector.url())};
  CHECK(chat(service, chat_body("m"), {{"traceparent", caller}}).status == 200);
  REQUIRE(collector.wait_for_requests(2));
  CHECK(collector.request_at(0).body == collector.request_at(1).body);
  status = 400;
  REQUIRE(eventually([&] { return metric(service, "llm_proxy_spans_dropped_total") == 1; }));
  const auto asked = collector.request_count();
  std::this_thread::sleep_for(milliseconds{250});
  CHECK(collector.request_count() == asked);
  // What it takes in part counts as that.
  status = 200;
  CHECK(chat(service, chat_body("m")).status == 200);
  REQUIRE(eventually([&] { return metric(service, "llm_proxy_spans_dropped_total") == 2; }));
  CHECK(metric(service, "llm_proxy_spans_exported_total") == 0);
}

TEST_CASE("traces: an export holds no key, no prompt and nothing of an answer", "[service][traces]") {
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  auto values = traced_settings(up, collector.url());
  values.internal_api_key = std::string{canary} + "-key";
  values.litellm_api_key = std::string{canary} + "-upstream";
  {
    proxy service{values};
    const auto ask = [&](const std::string& model, bool stream) {
      return request(service.port(), "POST", "/v1/chat/completions?secret=canary-5f2c",
                     {{"x-internal-auth", values.internal_api_key}, {"user-agent", std::string{canary}}},
                     chat_body(model, stream, canary))
          .status;
    };
    CHECK(ask("m", false) == 200);
    CHECK(ask("m", true) == 200);
    CHECK(ask("fails", false) == 502);
    service.drain_connections(milliseconds{1000});
  }
  REQUIRE(spans_of(collector, 3).size() == 3);
  for (const auto& each : collector.requests()) {
    CHECK_FALSE(contains(each.head, canary));
    CHECK_FALSE(contains(each.body, canary));
  }
}

TEST_CASE("traces: an https collector is trusted by OTEL_EXPORTER_OTLP_CERTIFICATE alone",
          "[service][traces]") {
  certificate cert;
  scripted_upstream up{answers()};
  scripted_upstream collector{accepts_spans()};
  // Another of our own kind speaks TLS in front of the collector.
  auto front_values = litellm_settings(collector.url());
  front_values.tls_cert_file = cert.file();
  front_values.tls_key_file = cert.key();
  front_values.passthrough_paths = {"/v1/traces"};
  proxy front{front_values};
  collector.wait_for_requests(1);
  const auto exported = [&] {
    const auto all = collector.requests();
    return std::count_if(all.begin(), all.end(), [](const auto& req) { return req.method == "POST"; });
  };
  auto values = traced_settings(up, "https://localhost:" + std::to_string(front.port()));
  values.otel_exporter_otlp_headers = "x-internal-auth=" + std::string{test_key};
  {
    proxy service{values};
    CHECK(chat(service, chat_body("m")).status == 200);
    service.drain_connections(milliseconds{1000});
    CHECK(exported() == 0);
  }
  values.otel_exporter_otlp_certificate = cert.file();
  proxy service{values};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(eventually([&] { return exported() == 1; }));
}

}  // namespace llm_proxy::test
