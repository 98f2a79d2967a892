// Traces: our span comes between the caller's span and LiteLLM's.
#include "http/wire/trace_context.hpp"
#include "support/catch.hpp"
#include "support/traced_service.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace llm_proxy::test {

TEST_CASE("traces: our span is the caller's child and upstream's parent", "[service][traces]") {
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

TEST_CASE("traces: the spans of a stream and of a failure say what they were", "[service][traces]") {
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

TEST_CASE("traces: without a valid traceparent a new trace begins, and tracestate is dropped",
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

TEST_CASE("traces: when they are off, the caller's trace headers reach upstream unchanged",
          "[service][traces]") {
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

TEST_CASE("traces: a trace that is not sampled is passed on as not sampled, and not exported",
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
    values.otel_traces_sampler_arg = 0;  // the samplers by ratio sample nothing
    proxy service{values};
    header_list more;
    if (!traceparent.empty()) more.emplace_back("traceparent", traceparent);
    REQUIRE(chat(service, chat_body("m"), more).status == 200);
    const auto passed = parse_traceparent(wait_for_chat(up).header("traceparent"));
    REQUIRE(passed);
    CHECK(passed->sampled == sampled);
    CHECK(passed->span_id() != caller_span);
    if (!traceparent.empty()) CHECK(passed->trace_id() == caller_trace);
    // The drain ends only when all spans are exported.
    service.drain_connections(milliseconds{1000});
    CHECK(spans_of(collector, sampled ? 1 : 0).size() == (sampled ? 1 : 0));
  }
}

}  // namespace llm_proxy::test
