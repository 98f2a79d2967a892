#include "actors/session/record.hpp"

#include "support/catch.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

const auto start = steady_clock::time_point{} + 100s;

/// A streamed chat that waited 10 ms for a slot, was sent at 20 ms and had its first byte at 50 ms.
request_record chat() {
  request_record record;
  auto head = std::make_shared<request_head>();
  head->method = "POST";
  head->target = "/v1/chat/completions?secret=1";
  record.head = head;
  record.id = "id-1";
  record.row = find_route("POST", "/v1/chat/completions").row;
  record.key = make_key_table({})->internal;
  record.model = "m";
  record.detail = "why";
  record.stream = true;
  record.status = 200;
  record.retries = 1;
  record.bytes_in = 7;
  record.bytes_out = 70;
  record.started_at = start;
  record.auth_time = 1ms;
  record.queued_at = start + 2ms;
  record.queue_time = 10ms;
  auto& attempt = record.attempt;
  attempt.opened_at = attempt.sent_at = start + 20ms;
  attempt.connect = 5ms;
  attempt.first_byte_at = start + 50ms;
  attempt.overhead = 3ms;
  attempt.chunks = 4;
  attempt.usage = token_usage{};
  attempt.usage->prompt_tokens = 11;
  attempt.usage->completion_tokens = 12;
  attempt.response_model = "m-1";
  return record;
}

std::string timing(const request_record& record, steady_clock::duration after) {
  return std::string{timing_of(record, start + after).text()};
}

}  // namespace

TEST_CASE("record: server-timing says who was slow, and tells a connect from the wait for an answer",
          "[unit][record]") {
  auto record = chat();
  CHECK(timing(record, 60ms) ==
        "queue;dur=10, auth;dur=1, connect;dur=5, first_byte;dur=25, litellm;dur=3, "
        "total;dur=60");
  // An attempt that was not made has no entry. One that was not answered yet has waited until now.
  record.attempt = {};
  CHECK(timing(record, 60ms) == "queue;dur=10, auth;dur=1, total;dur=60");
  record.attempt.opened_at = record.attempt.sent_at = start + 20ms;
  CHECK(timing(record, 60ms) == "queue;dur=10, auth;dur=1, first_byte;dur=40, total;dur=60");
  // In an upload, the connect may be over before the last part is sent. Then it is no part of the wait.
  record.attempt.connect = 5ms;
  record.attempt.sent_at = start + 40ms;
  CHECK(timing(record, 60ms).find("first_byte;dur=20") != std::string::npos);
  // A request that still waits for a slot has waited until now.
  record.queue_time = {};
  CHECK(timing(record, 8ms).starts_with("queue;dur=6,"));
  record.queued_at = {};
  CHECK(timing(record, 8ms).starts_with("queue;dur=0,"));
}

TEST_CASE("record: the line in the log has the path without the query", "[unit][record]") {
  const auto record = chat();
  const auto line = log_line_of(record, verdict::complete, 60, "trace");
  CHECK(line.id == "id-1");
  CHECK(line.method == "POST");
  CHECK(line.path == "/v1/chat/completions");
  CHECK(line.verdict == "complete");
  CHECK(line.key == "default");
  CHECK(line.model == "m");
  CHECK(line.detail == "why");
  CHECK(line.trace_id == "trace");
  CHECK(line.status == 200);
  CHECK(line.stream);
  CHECK(line.ms == 60);
  CHECK(line.first_byte_ms == Approx(50));
  CHECK(line.chunks == 4);
  CHECK(line.bytes_in == 7);
  CHECK(line.bytes_out == 70);
  CHECK(line.prompt_tokens == 11);
  CHECK(line.completion_tokens == 12);
  request_record refused;
  refused.head = record.head;
  const auto short_line = log_line_of(refused, verdict::rejected_auth, 1, {});
  CHECK(short_line.key.empty());
  CHECK(short_line.first_byte_ms < 0);
  CHECK(short_line.prompt_tokens < 0);
}

TEST_CASE("record: the metrics have key, model and usage only for requests that go upstream",
          "[unit][record]") {
  auto record = chat();
  const auto facts = facts_of(record, verdict::complete, 60);
  CHECK(facts.route == "/v1/chat/completions");
  CHECK(facts.complete);
  CHECK(facts.seconds == Approx(0.06));
  CHECK(facts.key == "default");
  CHECK(facts.model == "m");
  CHECK(facts.response_model == "m-1");
  CHECK(facts.retries == 1);
  CHECK(facts.usage->prompt_tokens == 11);
  CHECK(*facts.first_token_seconds == Approx(0.05));
  record.stream = false;
  CHECK_FALSE(facts_of(record, verdict::complete, 60).first_token_seconds);
  record.row = find_route("GET", "/v1/models").row;
  const auto own = facts_of(record, verdict::complete, 60);
  CHECK(own.key.empty());
  CHECK(own.model.empty());
  CHECK_FALSE(own.usage);
  record.row = nullptr;
  CHECK(facts_of(record, verdict::rejected_invalid, 60).route == "unmatched");
}

TEST_CASE("record: the dashboard sees a request while it lasts", "[unit][record]") {
  const auto sample = sample_of(chat(), start + 60ms, 69);
  CHECK(sample.id == "id-1");
  CHECK(sample.route == "/v1/chat/completions");
  CHECK(sample.key == "default");
  CHECK(sample.ms == Approx(60));
  CHECK(*sample.first_byte_ms == Approx(50));
  CHECK(sample.chunks == 4);
  CHECK(sample.bytes == 69);
  CHECK(sample.tokens == 12);
}

TEST_CASE("record: the events of a span are at times of the system clock", "[unit][record]") {
  const auto record = chat();
  begun_span begun;
  begun.own.sampled = true;
  request_trace trace{begun};
  trace.began = std::chrono::system_clock::time_point{1'700'000'000s};
  trace.provider = "p";
  const auto span = span_of(record, std::move(trace), verdict::complete, start + 60ms, "host:1");
  constexpr std::int64_t began = 1'700'000'000'000'000'000;
  CHECK(span.began == began);
  CHECK(span.ended == began + 60'000'000);
  CHECK(span.route == "/v1/chat/completions");
  CHECK(span.provider == "p");
  CHECK(span.server == "host:1");
  CHECK(span.response_model == "m-1");
  const auto event = [&](std::size_t which) {
    return std::pair{std::string{span.events[which].name}, (span.events[which].at - began) / 1'000'000};
  };
  CHECK(event(0) == std::pair{std::string{"admitted"}, std::int64_t{12}});
  CHECK(event(1) == std::pair{std::string{"upstream_request"}, std::int64_t{20}});
  CHECK(event(2) == std::pair{std::string{"upstream_connected"}, std::int64_t{25}});
  CHECK(event(3) == std::pair{std::string{"first_byte"}, std::int64_t{50}});
}

}  // namespace llm_proxy
