// The session's part in its caller's trace: our span lies between the caller's and LiteLLM's. Nothing of it
// where tracing is off.
#include "actors/session/session.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// Longer ones may be dropped (Trace Context §3.3.1.5), and are passed on all the same.
constexpr std::size_t longest_state = 512;

}  // namespace

void session_state::begin_trace() {
  trace_ = std::make_unique<request_trace>(begin_span(head_->headers, context_->tracing->sampler));
  const auto& span = trace_->span;
  if (!span.own.sampled) return;
  trace_->began =
      std::chrono::system_clock::now() -
      std::chrono::duration_cast<std::chrono::system_clock::duration>(steady_clock::now() - started_);
  if (!span.parent) return;
  auto& state = trace_->state;
  for (const auto field : head_->headers) {
    if (iequals(field.name, "tracestate")) state.append(state.empty() ? "" : ",").append(field.value);
  }
  if (state.size() > longest_state) state.clear();
}

/// For the head that goes upstream.
void session_state::pass_trace_on(upstream_request& request) const {
  request.traceparent = format_traceparent(trace_->span.own);
  request.drops_tracestate = !trace_->span.parent;
}

void session_state::end_trace(verdict how) {
  const auto& span = trace_->span;
  if (!span.own.sampled) return;
  const auto at = [this](steady_clock::time_point when) {
    const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when - started_);
    const auto began = std::chrono::duration_cast<std::chrono::nanoseconds>(trace_->began.time_since_epoch());
    return (began + since).count();
  };
  span_record record;
  record.context = span.own;
  if (span.parent) record.parent_span_id = span.parent->span_id();
  record.trace_state = std::move(trace_->state);
  record.began = at(started_);
  record.ended = at(steady_clock::now());
  record.method = head_->method;
  record.route = route_label();
  if (route_.row != nullptr) record.operation = operation_of(route_.row->path);
  record.verdict = to_string(how);
  record.complete = how == verdict::complete;
  record.status = status_;
  record.model = model_;
  record.response_model = judge_.model;
  record.provider = std::move(trace_->provider);
  if (key_) record.key = key_->name;
  record.request_id = id_;
  if (context_->upstreams && stream_opened_) record.server = context_->upstreams->name(lease_.upstream);
  record.usage = usage_;
  record.retries = retries_;
  record.stream = wants_stream_;
  auto event = record.events.begin();
  const auto note = [&](std::string_view what, steady_clock::time_point when) {
    *event++ = {what, at(when)};
  };
  if (queue_time_.count() > 0) note("admitted", queued_at_ + queue_time_);
  if (opened_ != steady_clock::time_point{}) note("upstream_request", opened_);
  if (connect_time_.count() > 0) note("upstream_connected", opened_ + connect_time_);
  if (first_byte_ != steady_clock::time_point{}) note("first_byte", first_byte_);
  const auto& tracing = *context_->tracing;
  if (tracing.finished->push(std::move(record))) caf::anon_send(tracing.exporter, export_due{});
}

}  // namespace llm_proxy
