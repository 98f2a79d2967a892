// How large a scrape can become, whatever clients send and however many keys there are.
#include "support/metric_samples.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

using test::samples_of;
using test::sum_of;
using test::text_of;

namespace {

using clock = std::chrono::steady_clock;

struct request_names {
  std::string key;
  std::string model;
};

request_facts facts_of(const request_names& names) {
  request_facts facts;
  facts.route = "/v1/chat/completions";
  facts.operation = "chat";
  facts.complete = true;
  facts.verdict = "complete";
  facts.status = 200;
  facts.key = names.key;
  facts.model = names.model;
  facts.seconds = 0.5;
  return facts;
}

constexpr std::string_view duration = "gen_ai_server_request_duration_seconds_count";
constexpr std::string_view tokens = "gen_ai_client_token_usage_count";

/// Returns the metrics of `threads` threads, each of which meets 100 keys x 40 models, in different orders.
std::vector<thread_metrics> meet_many(const std::shared_ptr<metric_families>& families, std::size_t threads,
                                      bool streams) {
  std::vector<thread_metrics> all(threads, thread_metrics{families});
  for (int i = 0; i < 4000; ++i) {
    for (std::size_t t = 0; t < threads; ++t) {
      const int k = t % 2 == 0 || i < 500 ? i : 4499 - i;  // the first 500 come in the same order everywhere
      const request_names names{"key-" + std::to_string(k / 40), "model-" + std::to_string(k % 40)};
      auto facts = facts_of(names);
      if (streams) {
        facts.first_token_seconds = 0.1;
        facts.usage = token_usage{10, 20};
      }
      all[t].record(facts);
    }
  }
  return all;
}

metric_counts sum_of_all(const std::vector<thread_metrics>& all) {
  metric_counts sum{all.front()};
  for (std::size_t i = 1; i < all.size(); ++i) sum.add(all[i]);
  return sum;
}

}  // namespace

TEST_CASE(
    "metrics: a family has at most 2,000 combinations of labels over all threads, and no request is missing",
    "[unit][metrics]") {
  // The scrape room is larger than needed here, so only the number of combinations is the limit.
  const auto families = std::make_shared<metric_families>(200, std::make_shared<scrape_room>(1U << 30));
  const auto text = text_of(sum_of_all(meet_many(families, 3, true)));
  for (const auto name : {duration, std::string_view{"gen_ai_server_time_to_first_token_seconds_count"},
                          std::string_view{"gen_ai_server_time_per_output_token_seconds_count"}, tokens}) {
    INFO(name);
    const auto samples = samples_of(text, std::string{name});
    CHECK(samples.size() <= most_combinations);
    CHECK(samples.size() > most_combinations * 9 / 10);
    CHECK(sum_of(samples) == (name == tokens ? 24000 : 12000));
  }
  const auto samples = samples_of(text, std::string{duration});
  // The combinations that came first keep their samples. Later ones are counted under "other" for everything
  // that a client can choose.
  CHECK(samples.at(R"(gen_ai_operation_name="chat",gen_ai_request_model="model-0",key="key-0")") == 3);
  CHECK(samples.at(R"(gen_ai_operation_name="chat",gen_ai_request_model="model-39",key="key-11")") == 3);
  CHECK(
      samples.at(R"(gen_ai_operation_name="chat",gen_ai_request_model="other",gen_ai_response_model="other",)"
                 R"(key="other")") > 1000);
}

TEST_CASE("metrics: a combination that was shown keeps its samples, and counters never go back",
          "[unit][metrics]") {
  const auto families = std::make_shared<metric_families>();
  thread_metrics metrics{families};
  std::map<std::string, double> before;
  for (int i = 0; i < 4000; ++i) {
    const request_names names{"key-" + std::to_string(i / 40), "model-" + std::to_string(i % 40)};
    metrics.record(facts_of(names));
    if (i % 400 != 0) continue;
    const auto now = samples_of(text_of(metrics), std::string{duration});
    for (const auto& [labels, value] : before) {
      INFO(labels);
      REQUIRE(now.count(labels) == 1);
      CHECK(now.at(labels) >= value);
    }
    CHECK(sum_of(now) == i + 1);
    before = now;
  }
}

TEST_CASE(
    "metrics: requests have at most 2,000 combinations of route and status, the rest is counted as other",
    "[unit][metrics]") {
  thread_metrics metrics;
  const std::array<std::string_view, 3> routes{"/v1/chat/completions", "/v1/embeddings", "passthrough"};
  const std::array<std::string_view, 2> verdicts{"complete", "upstream_error"};
  double recorded = 0;
  for (unsigned status = 100; status < 1000; ++status) {
    for (const auto route : routes) {
      for (const auto verdict : verdicts) {
        request_facts facts;
        facts.route = route;
        facts.verdict = verdict;
        facts.status = status;
        metrics.record(facts);
        ++recorded;
      }
    }
  }
  const auto samples = samples_of(text_of(metrics), "llm_proxy_requests_total");
  CHECK(samples.size() <= most_combinations);
  CHECK(samples.size() > 1000);
  CHECK(sum_of(samples) == recorded);
  CHECK(samples.at(R"(route="/v1/chat/completions",status="100",verdict="complete")") == 1);
  CHECK(samples.at(R"(route="other",status="other",verdict="upstream_error")") > 100);
}

TEST_CASE("metrics: a scrape is at most 4 MiB, even with the longest names and the largest numbers",
          "[unit][metrics]") {
  const auto families = std::make_shared<metric_families>();
  std::vector<thread_metrics> all(2, thread_metrics{families});
  const std::string quotes(60, '"');  // each of them takes two bytes when it is escaped
  const std::array<std::string_view, 3> operations{"chat", "text_completion", "embeddings"};
  const std::array<std::string_view, 4> errors{"", "upstream_timeout_first_byte", "rejected_overload",
                                               "internal"};
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 6000; ++i) {
      const request_names names{"k" + std::to_string(i % 1500) + std::string(90, 'k'),
                                "m" + std::to_string(i % 190) + quotes};
      auto facts = facts_of(names);
      const auto answered = names.model + "-2026";
      facts.response_model = answered;
      facts.operation = operations[static_cast<std::size_t>(i) % operations.size()];
      facts.verdict = errors[static_cast<std::size_t>(i) % errors.size()];
      facts.complete = facts.verdict.empty();
      facts.status = static_cast<unsigned>(200 + i % 700);
      facts.seconds = 1.0 / 3 * 1e17;
      facts.first_token_seconds = 1.0 / 7;
      facts.usage = token_usage{UINT64_MAX / 3, UINT64_MAX / 7};
      facts.bytes_in = UINT64_MAX / 100'000;
      all[static_cast<std::size_t>(i % 2)].record(facts);
    }
  }
  auto sum = sum_of_all(all);
  for (int i = 0; i < 40; ++i) sum.add(metric_counts{sum});  // numbers of thirteen digits
  const auto text = text_of(sum);
  CHECK(text.size() <= scrape_room::largest_scrape - 64 * 1024);  // the rest is for all other families
  CHECK(text.size() > 2U << 20);                                  // the room is not left unused
  const auto total = samples_of(text, "llm_proxy_requests_total");
  CHECK(sum_of(total) == 12000.0 * static_cast<double>(std::uint64_t{1} << 40));
}

TEST_CASE("metrics: a large scrape is written in steps of a few KiB, none of which holds up a thread",
          "[unit][metrics]") {
  const auto families = std::make_shared<metric_families>();
  const auto sum = sum_of_all(meet_many(families, 2, true));
  prometheus_text text;
  text_steps steps;
  sum.write(text, steps);
  std::size_t largest = 0;
  for (std::size_t before = 0; !steps.run(std::chrono::nanoseconds{0}); before = text.size())
    largest = std::max(largest, text.size() - before);
  CHECK(text.size() > 1U << 20);
  CHECK(largest < 16 * 1024);
  // A copy of a thread's counts copies a few arrays, so it is quick, too. The limit is generous, because
  // other programs may run at the same time.
  auto quickest = clock::duration::max();
  for (int i = 0; i < 20; ++i) {
    const auto begin = clock::now();
    const auto copy = std::make_shared<metric_counts>(sum);
    quickest = std::min(quickest, clock::now() - begin);
    CHECK(copy->requests.size() == sum.requests.size());
  }
  CHECK(quickest < std::chrono::milliseconds{2});
}

}  // namespace llm_proxy
