#include "support/metric_samples.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

using test::text_of;

namespace {

constexpr std::array three{1.0, 2.0, 4.0};

bool has(std::string_view text, std::string_view line) {
  return text.find(std::string{line} + "\n") != std::string_view::npos;
}

request_facts chat(std::string_view model, unsigned status = 200) {
  request_facts facts;
  facts.route = "/v1/chat/completions";
  facts.operation = operation_of(facts.route);
  facts.complete = status < 400;
  facts.verdict = facts.complete ? "complete" : "upstream_error";
  facts.status = status;
  facts.key = "team";
  facts.model = model;
  facts.seconds = 0.5;
  return facts;
}

}  // namespace

TEST_CASE("prometheus text: a family has help, type and samples, its values escaped", "[unit][metrics]") {
  prometheus_text text;
  text.family("x_total", "counter", "Back\\slash\nand \"quotes\"");
  text.sample({{"a", "q\"b\\n\nend"}, {"empty", ""}}, std::uint64_t{3});
  text.sample({}, 0.25);
  CHECK(text.take() ==
        "# HELP x_total Back\\\\slash\\nand \"quotes\"\n# TYPE x_total counter\n"
        "x_total{a=\"q\\\"b\\\\n\\nend\"} 3\nx_total 0.25\n");
}

TEST_CASE("metric histogram: a value on a bound counts below it, and buckets add up", "[unit][metrics]") {
  metric_histogram<three> histogram;
  for (const double value : {0.5, 1.0, 1.5, 4.0, 9.0}) histogram.add(value);
  prometheus_text text;
  text.family("h", "histogram", "H.");
  histogram.write(text, {{"k", "v"}});
  CHECK(text.take() ==
        "# HELP h H.\n# TYPE h histogram\nh_bucket{k=\"v\",le=\"1\"} 2\nh_bucket{k=\"v\",le=\"2\"} 3\n"
        "h_bucket{k=\"v\",le=\"4\"} 4\nh_bucket{k=\"v\",le=\"+Inf\"} 5\nh_sum{k=\"v\"} 16\nh_count{k=\"v\"} "
        "5\n");
}

TEST_CASE("metrics: a stream's times and tokens are counted under its model and key", "[unit][metrics]") {
  thread_metrics metrics;
  auto facts = chat("m");
  facts.seconds = 2.5;
  facts.first_token_seconds = 0.5;
  facts.usage = token_usage{7, 11};
  metrics.record(facts);
  const auto text = text_of(metrics);
  const std::string labels = "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"m\",";
  CHECK(has(text, "gen_ai_server_request_duration_seconds_sum{" + labels + "key=\"team\"} 2.5"));
  CHECK(has(text, "gen_ai_server_time_to_first_token_seconds_sum{" + labels + "key=\"team\"} 0.5"));
  // Ten tokens after the first took two seconds.
  CHECK(has(text, "gen_ai_server_time_per_output_token_seconds_sum{" + labels + "key=\"team\"} 0.2"));
  CHECK(has(text, "gen_ai_client_token_usage_sum{" + labels + "gen_ai_token_type=\"input\",key=\"team\"} 7"));
  CHECK(
      has(text, "gen_ai_client_token_usage_sum{" + labels + "gen_ai_token_type=\"output\",key=\"team\"} 11"));
}

TEST_CASE(
    "metrics: the model that answered has a label of its own, and its pairs with the asked one are bounded",
    "[unit][metrics]") {
  const auto models = std::make_shared<metric_families>(10);
  thread_metrics metrics{models};
  auto facts = chat("gpt-4o");
  facts.response_model = "gpt-4o-2024-08-06";
  metrics.record(facts);
  facts.response_model = {};
  metrics.record(facts);
  const std::string of_model =
      "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\",gen_ai_request_model="
      "\"gpt-4o\",";
  CHECK(has(text_of(metrics), of_model + "gen_ai_response_model=\"gpt-4o-2024-08-06\",key=\"team\"} 1"));
  CHECK(has(text_of(metrics), of_model + "key=\"team\"} 1"));
  for (int i = 0; i < 100; ++i) {
    const auto name = "r" + std::to_string(i);
    facts.response_model = name;
    metrics.record(facts);
  }
  // One pair had a label already, and 19 more got one.
  CHECK(has(text_of(metrics), of_model + "gen_ai_response_model=\"r18\",key=\"team\"} 1"));
  CHECK(has(text_of(metrics), of_model + "gen_ai_response_model=\"other\",key=\"team\"} 81"));
  // If a model has no label of its own, the model that answered is counted under "other" as well.
  for (int i = 0; i < 20; ++i) {
    const auto name = "m" + std::to_string(i);
    auto more = chat(name);
    more.response_model = "gpt-4o-2024-08-06";
    metrics.record(more);
  }
  CHECK(has(text_of(metrics),
            "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\","
            "gen_ai_request_model=\"other\",gen_ai_response_model=\"other\",key=\"team\"} 11"));
}

TEST_CASE("metrics: a failure carries its error type", "[unit][metrics]") {
  thread_metrics metrics;
  metrics.record(chat("m", 502));
  CHECK(has(text_of(metrics),
            "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\","
            "gen_ai_request_model=\"m\",error_type=\"upstream_error\",key=\"team\"} 1"));
}

TEST_CASE("metrics: models past the limit share one label, over all threads", "[unit][metrics]") {
  const auto models = std::make_shared<metric_families>(200);
  thread_metrics one{models};
  thread_metrics two{models};
  for (int i = 0; i < 300; ++i) {
    const auto name = "m" + std::to_string(i);
    (i % 2 == 0 ? one : two).record(chat(name));
    (i % 2 == 0 ? two : one).record(chat(name));
  }
  thread_metrics all{models};
  all.add(one);
  all.add(two);
  const auto text = text_of(all);
  std::size_t counts = 0;
  for (auto at = text.find("request_duration_seconds_count{"); at != std::string::npos;
       at = text.find("request_duration_seconds_count{", at + 1)) {
    ++counts;
  }
  CHECK(counts == 201);
  CHECK(has(text,
            "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\","
            "gen_ai_request_model=\"other\",key=\"team\"} 200"));
  CHECK(has(
      text,
      "llm_proxy_requests_total{route=\"/v1/chat/completions\",status=\"200\",verdict=\"complete\"} 600"));
}

TEST_CASE("metrics: a model that upstream refused, or one with a very long name, gets no label",
          "[unit][metrics]") {
  thread_metrics metrics;
  metrics.record(chat("invented", 404));
  metrics.record(chat(std::string(500, 'x')));
  const auto text = text_of(metrics);
  CHECK(text.find("invented") == std::string::npos);
  CHECK(text.find("xxx") == std::string::npos);
  // Once it has been served it is known to be a model, and its refusals are counted under its name.
  metrics.record(chat("invented"));
  metrics.record(chat("invented", 404));
  CHECK(has(text_of(metrics),
            "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\","
            "gen_ai_request_model=\"invented\",error_type=\"upstream_error\",key=\"team\"} 1"));
}

}  // namespace llm_proxy
