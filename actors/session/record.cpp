#include "actors/session/record.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

double seconds(steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

double milliseconds(steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

bool goes_upstream(const request_record& request) {
  return request.row != nullptr && request.row->target == endpoint::upstream;
}

}  // namespace

std::string_view route_label(const route* row) {
  if (row == nullptr) return "unmatched";
  if (row->path.empty()) return "passthrough";
  if (row->target == endpoint::model) return "/v1/models/{id}";
  return row->path;
}

server_timing timing_of(const request_record& request, steady_clock::time_point now) {
  server_timing all;
  all.add("queue", request.is_queued() ? now - request.queued_at : request.queue_time);
  all.add("auth", request.auth_time);
  const auto& attempt = request.attempt;
  if (attempt.connect.count() > 0) all.add("connect", attempt.connect);
  if (attempt.was_opened()) {
    // The time of the connect after `sent_at` does not count as waiting for upstream's answer. For an upload
    // the connect may have ended long before the last part was sent.
    const auto connecting =
        std::max(attempt.opened_at + attempt.connect - attempt.sent_at, steady_clock::duration{0});
    const auto come = attempt.has_first_byte() ? attempt.first_byte_at : now;
    all.add("first_byte", come - attempt.sent_at - connecting);
  }
  if (attempt.overhead.count() >= 0) all.add("litellm", attempt.overhead);
  all.add("total", now - request.started_at);
  return all;
}

access_record log_line_of(const request_record& request, verdict how, double ms, std::string_view trace_id) {
  access_record line;
  line.id = request.id;
  line.method = request.head->method;
  line.path = request.head->path();
  line.verdict = to_string(how);
  if (request.key) line.key = request.key->name;
  line.model = request.model;
  line.detail = request.detail;
  line.trace_id = trace_id;
  line.status = static_cast<int>(request.status);
  line.stream = request.stream;
  line.ms = ms;
  const auto& attempt = request.attempt;
  if (attempt.has_first_byte()) line.first_byte_ms = milliseconds(attempt.first_byte_at - request.started_at);
  line.chunks = attempt.chunks;
  line.bytes_in = request.bytes_in;
  line.bytes_out = request.bytes_out;
  if (attempt.usage) {
    line.prompt_tokens = static_cast<std::int64_t>(attempt.usage->prompt_tokens);
    line.completion_tokens = static_cast<std::int64_t>(attempt.usage->completion_tokens);
  }
  return line;
}

request_facts facts_of(const request_record& request, verdict how, double ms) {
  request_facts facts;
  facts.route = route_label(request.row);
  facts.verdict = to_string(how);
  facts.complete = how == verdict::complete;
  facts.status = request.status;
  facts.seconds = ms / 1000;
  facts.bytes_in = request.bytes_in;
  facts.bytes_out = request.bytes_out;
  facts.retries = request.retries;
  if (!request.key || !goes_upstream(request)) return facts;
  const auto& attempt = request.attempt;
  facts.operation = operation_of(request.row->path);
  facts.key = request.key->name;
  facts.model = request.model;
  facts.response_model = attempt.response_model;
  facts.usage = attempt.usage;
  if (request.stream && attempt.has_first_byte())
    facts.first_token_seconds = seconds(attempt.first_byte_at - request.started_at);
  return facts;
}

session_sample sample_of(const request_record& request, steady_clock::time_point now, std::uint64_t bytes) {
  session_sample sample;
  sample.id = request.id;
  sample.route = request.head->path();
  sample.model = request.model;
  if (request.key) sample.key = request.key->name;
  sample.stream = request.stream;
  sample.ms = request.since_start(now).count();
  const auto& attempt = request.attempt;
  if (attempt.has_first_byte())
    sample.first_byte_ms = milliseconds(attempt.first_byte_at - request.started_at);
  sample.chunks = attempt.chunks;
  sample.bytes = bytes;
  if (attempt.usage) sample.tokens = attempt.usage->completion_tokens;
  return sample;
}

span_record span_of(const request_record& request, request_trace&& trace, verdict how,
                    steady_clock::time_point now, std::string_view upstream) {
  const auto at = [&](steady_clock::time_point when) {
    const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when - request.started_at);
    const auto began = std::chrono::duration_cast<std::chrono::nanoseconds>(trace.began.time_since_epoch());
    return (began + since).count();
  };
  const auto& attempt = request.attempt;
  span_record record;
  record.context = trace.span.own;
  if (trace.span.parent) record.parent_span_id = trace.span.parent->span_id();
  record.trace_state = std::move(trace.state);
  record.began = at(request.started_at);
  record.ended = at(now);
  record.method = request.head->method;
  record.route = route_label(request.row);
  if (request.row != nullptr) record.operation = operation_of(request.row->path);
  record.verdict = to_string(how);
  record.complete = how == verdict::complete;
  record.status = request.status;
  record.model = request.model;
  record.response_model = attempt.response_model;
  record.provider = std::move(trace.provider);
  if (request.key) record.key = request.key->name;
  record.request_id = request.id;
  record.server = upstream;
  record.usage = attempt.usage;
  record.retries = request.retries;
  record.stream = request.stream;
  auto event = record.events.begin();
  const auto note = [&](std::string_view what, steady_clock::time_point when) {
    *event++ = {what, at(when)};
  };
  if (request.queue_time.count() > 0) note("admitted", request.queued_at + request.queue_time);
  if (attempt.was_opened()) note("upstream_request", attempt.opened_at);
  if (attempt.connect.count() > 0) note("upstream_connected", attempt.opened_at + attempt.connect);
  if (attempt.has_first_byte()) note("first_byte", attempt.first_byte_at);
  return record;
}

}  // namespace llm_proxy
