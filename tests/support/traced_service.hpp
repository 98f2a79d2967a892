// A service that exports its spans to a collector played by the test, and the spans that the collector got.
#pragma once

#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <rapidjson/document.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace llm_proxy::test {

inline const std::string caller_trace = "0af7651916cd43dd8448eb211c80319c";
inline const std::string caller_span = "b7ad6b7169203331";
inline const std::string caller = "00-" + caller_trace + "-" + caller_span + "-01";
inline const std::string caller_unsampled = "00-" + caller_trace + "-" + caller_span + "-00";

/// One span as a collector got it. All attributes are kept as texts, whatever their type.
struct seen_span {
  std::string trace, span, parent, state, name;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> events;
  std::int64_t began = 0, ended = 0;
  bool is_error = false;
};

inline std::string text_of(const rapidjson::Value& value) {
  if (value.HasMember("stringValue")) return value["stringValue"].GetString();
  if (value.HasMember("intValue")) return value["intValue"].GetString();
  return value["boolValue"].GetBool() ? "true" : "false";
}

inline std::vector<seen_span> spans_in(const std::string& body) {
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

inline upstream_script accepts_spans() {
  return [](const upstream_request&, upstream_reply& reply) { reply.json(200, "{}"); };
}

/// Waits until `collector` has `count` spans, and returns all that it got.
inline std::vector<seen_span> spans_of(const scripted_upstream& collector, std::size_t count) {
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

inline settings traced_settings(const scripted_upstream& up, const std::string& collector_url) {
  auto values = litellm_settings(up.url());
  values.otel_exporter_otlp_endpoint = collector_url;
  values.otel_bsp_schedule_delay = milliseconds{20};
  return values;
}

inline const std::string usage_stop =
    R"({"model":"m-2026-01","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":9}})";

/// Returns a script that answers with a stream if the request asks for one, with an error for the model
/// "fails", and otherwise with a completion.
inline upstream_script answers() {
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

}  // namespace llm_proxy::test
