#include "http/telemetry/otlp.hpp"

#include "http/telemetry/span_queue.hpp"
#include "support/catch.hpp"

#include <rapidjson/document.h>

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

span_record chat_span() {
  span_record span;
  span.context = *parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  span.began = 1'800'000'000'123'456'789;
  span.ended = 1'800'000'001'000'000'000;
  span.method = "POST";
  span.route = "/v1/chat/completions";
  span.operation = "chat";
  span.verdict = "complete";
  span.complete = true;
  span.status = 200;
  span.model = "gpt-4o";
  return span;
}

rapidjson::Document parsed(const std::string& text) {
  rapidjson::Document json;
  json.Parse(text.c_str(), text.size());
  INFO(text);
  REQUIRE_FALSE(json.HasParseError());
  return json;
}

const rapidjson::Value& spans_of(const rapidjson::Document& json) {
  return json["resourceSpans"][0]["scopeSpans"][0]["spans"];
}

/// Returns the value of an attribute, or null if there is none.
const rapidjson::Value* attribute(const rapidjson::Value& of, const std::string& key) {
  for (const auto& each : of["attributes"].GetArray()) {
    if (each["key"].GetString() == key) return &each["value"];
  }
  return nullptr;
}

std::string text_of(const rapidjson::Value& of, const std::string& key) {
  const auto* value = attribute(of, key);
  return value == nullptr ? "(none)" : (*value)["stringValue"].GetString();
}

std::string number_of(const rapidjson::Value& of, const std::string& key) {
  const auto* value = attribute(of, key);
  return value == nullptr ? "(none)" : (*value)["intValue"].GetString();
}

}  // namespace

TEST_CASE("otlp: a request becomes a client span with the GenAI attributes", "[unit][otlp]") {
  auto span = chat_span();
  span.parent_span_id = "00f067aa0ba902b7";
  span.trace_state = "a=b";
  span.response_model = "gpt-4o-2024-08-06";
  span.provider = "azure";
  span.key = "team-a";
  span.request_id = "id-1";
  span.server = "litellm.internal:4000";
  span.usage = token_usage{7, 11};
  span.retries = 2;
  span.stream = true;
  span.events[0] = {"first_byte", 1'800'000'000'500'000'000};
  const auto json = parsed(otlp_traces({{{"service.name", "llm-proxy"}}, "1.2"}, std::vector{span}));
  CHECK(text_of(json["resourceSpans"][0]["resource"], "service.name") == "llm-proxy");
  const auto& scope = json["resourceSpans"][0]["scopeSpans"][0]["scope"];
  CHECK(std::string{scope["name"].GetString()} == "llm-proxy");
  CHECK(std::string{scope["version"].GetString()} == "1.2");
  const auto& out = spans_of(json)[0];
  CHECK(std::string{out["traceId"].GetString()} == "0af7651916cd43dd8448eb211c80319c");
  CHECK(std::string{out["spanId"].GetString()} == "b7ad6b7169203331");
  CHECK(std::string{out["parentSpanId"].GetString()} == "00f067aa0ba902b7");
  CHECK(std::string{out["traceState"].GetString()} == "a=b");
  CHECK(std::string{out["name"].GetString()} == "chat gpt-4o");
  CHECK(out["kind"].GetInt() == 3);  // SPAN_KIND_CLIENT
  CHECK(std::string{out["startTimeUnixNano"].GetString()} == "1800000000123456789");
  CHECK(std::string{out["endTimeUnixNano"].GetString()} == "1800000001000000000");
  CHECK(text_of(out, "gen_ai.operation.name") == "chat");
  CHECK(text_of(out, "gen_ai.provider.name") == "azure.ai.openai");
  CHECK(text_of(out, "gen_ai.system") == "azure.ai.openai");
  CHECK(text_of(out, "gen_ai.request.model") == "gpt-4o");
  CHECK(text_of(out, "gen_ai.response.model") == "gpt-4o-2024-08-06");
  CHECK(number_of(out, "gen_ai.usage.input_tokens") == "7");
  CHECK(number_of(out, "gen_ai.usage.output_tokens") == "11");
  CHECK(text_of(out, "http.request.method") == "POST");
  CHECK(text_of(out, "http.route") == "/v1/chat/completions");
  CHECK(number_of(out, "http.response.status_code") == "200");
  CHECK(text_of(out, "server.address") == "litellm.internal");
  CHECK(number_of(out, "server.port") == "4000");
  CHECK(text_of(out, "llm_proxy.key") == "team-a");
  CHECK(text_of(out, "llm_proxy.request_id") == "id-1");
  CHECK((*attribute(out, "llm_proxy.stream"))["boolValue"].GetBool());
  CHECK(number_of(out, "llm_proxy.retries") == "2");
  CHECK(attribute(out, "error.type") == nullptr);
  CHECK_FALSE(out.HasMember("status"));
  REQUIRE(out["events"].Size() == 1);
  CHECK(std::string{out["events"][0]["name"].GetString()} == "first_byte");
  CHECK(std::string{out["events"][0]["timeUnixNano"].GetString()} == "1800000000500000000");
}

TEST_CASE("otlp: unknown values are left out, and a failure is an error", "[unit][otlp]") {
  auto span = chat_span();
  span.operation = {};
  span.route = "passthrough";
  span.model.clear();
  span.complete = false;
  span.verdict = "upstream_timeout_idle";
  span.server = "[::1]:80";
  const auto json = parsed(otlp_traces({}, std::vector{span, chat_span()}));
  REQUIRE(spans_of(json).Size() == 2);
  const auto& out = spans_of(json)[0];
  CHECK(std::string{out["name"].GetString()} == "POST passthrough");
  CHECK_FALSE(out.HasMember("parentSpanId"));
  CHECK_FALSE(out.HasMember("traceState"));
  for (const auto* key : {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model",
                          "gen_ai.response.model", "gen_ai.usage.input_tokens", "llm_proxy.retries"}) {
    INFO(key);
    CHECK(attribute(out, key) == nullptr);
  }
  CHECK(text_of(out, "error.type") == "upstream_timeout_idle");
  CHECK(out["status"]["code"].GetInt() == 2);
  CHECK(text_of(out, "server.address") == "[::1]");
  CHECK(out["events"].Empty());
}

TEST_CASE("otlp: texts from outside are escaped and cut between characters", "[unit][otlp]") {
  auto span = chat_span();
  span.model = "q\"\\\n" + std::string(250, 'a') + "\xC3\xA4\xC3\xA4\xC3\xA4";
  span.key = "\xFF";
  const auto json = parsed(otlp_traces({}, std::vector{span}));
  const auto model = text_of(spans_of(json)[0], "gen_ai.request.model");
  CHECK(model == "q\"\\\n" + std::string(250, 'a') + "\xC3\xA4");
  CHECK(text_of(spans_of(json)[0], "llm_proxy.key") == "\xEF\xBF\xBD");
}

TEST_CASE("otlp: a partial success says how many spans were refused", "[unit][otlp]") {
  CHECK(rejected_spans("") == 0);
  CHECK(rejected_spans("{}") == 0);
  CHECK(rejected_spans(R"({"partialSuccess":{}})") == 0);
  CHECK(rejected_spans(R"({"partialSuccess":{"errorMessage":"x","rejectedSpans":"3"}})") == 3);
  CHECK(rejected_spans(R"({"partialSuccess":{"rejectedSpans":4}})") == 4);
  CHECK(rejected_spans("not JSON") == 0);
}

TEST_CASE("span queue: it is bounded, counts the spans that find no room, and reports a whole batch once",
          "[unit][span_queue]") {
  span_queue queue{5, 3};
  std::vector<bool> told;
  for (int i = 0; i < 8; ++i) {
    auto span = chat_span();
    span.model = std::to_string(i);
    told.push_back(queue.push(std::move(span)));
  }
  CHECK(told == std::vector<bool>{false, false, true, false, false, false, false, false});
  CHECK(queue.size() == 5);
  CHECK(queue.dropped() == 3);
  CHECK(queue.has_batch());
  const auto batch = queue.take();
  REQUIRE(batch.size() == 3);
  CHECK(batch.front().model == "0");
  CHECK_FALSE(queue.has_batch());
  CHECK(queue.take().size() == 2);
  CHECK(queue.take().empty());
}

}  // namespace llm_proxy
