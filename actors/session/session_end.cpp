// How a request ends: an answer or an error, exactly one verdict, one log line.
#include "actors/models/model_lists.hpp"
#include "actors/session/session.hpp"
#include "http/answer/error_shape.hpp"
#include "http/answer/litellm_error.hpp"
#include "http/wire/header_policy.hpp"

#include <utility>

namespace llm_proxy {

void session_state::note_unreachable() {
  // Only the first one to notice asks for another look: a fetch of the model list, and more until one works.
  if (context_->health->usable_upstreams.exchange(0) > 0) self_->send(context_->registry, refresh_due{});
}

/// Upstream answers: the service is ready again at once, and an upstream that was left out is used again.
void session_state::note_reachable() {
  auto& usable = context_->health->usable_upstreams;
  if (usable.load(std::memory_order_relaxed) == 0) usable = 1;
  auto* table = context_->upstreams.get();
  // An error of the server's may be why it was left out.
  if (table == nullptr || answer_.status >= 500 || table->usable(lease_.upstream)) return;
  table->answered(lease_.upstream, opened_, steady_clock::now());
}

void session_state::fail(failure reason) {
  if (phase_ == phase::closed) return;
  if (judge_.last_event_seen()) {
    // Whatever happens now, the client has a whole answer.
    end_complete_stream(judge_.finish_at_last_event());
    return;
  }
  cancel_upstream();
  if (reason.code == errc::upstream_unreachable || reason.code == errc::upstreams_down) note_unreachable();
  detail_ = reason.detail;
  const bool streaming = early_ || (phase_ == phase::streaming && event_stream_);
  reason = cut_answer(std::move(reason), streaming);
  // What ran out of our own time has had it all.
  const bool late = missed_ != missed::none && missed_ != missed::connect;
  if (!late && describe(reason.code).source == error_source::upstream &&
      retry(describe(reason.code).status, advice_for(reason.code))) {
    return;
  }
  if (!client_->answer_started()) {
    refuse(reason);
    return;
  }
  // The status line is gone: the client learns of it by an error event, and by an end that is none.
  if (streaming && judged_ && !judge_.inside_event())
    client_->write(error_event(speaks(), reason, judge_.next_sequence_number()));
  usage_ = judge_.usage;
  break_answer(verdict_of(reason.code, missed_));
}

answer_terms session_state::terms() const {
  const auto& row = *route_.row;
  // Shapes of an unknown dialect are not ours to rewrite.
  const auto wording = row.speaks == dialect::opaque ? error_wording::raw : context_->options.wording;
  answer_terms out{row.speaks, wording, row.any_media, wants_stream_ || row.body != body_kind::json};
  out.may_be_empty = row.method == "DELETE";
  out.has_condition = row.headers == header_policy::resource &&
                      (head_->headers.find("if-none-match") || head_->headers.find("if-modified-since"));
  return out;
}

dialect session_state::speaks() const {
  if (asks_in_anthropic_shape(route_.target, *head_)) return dialect::anthropic;
  if (route_.row != nullptr) return route_.row->speaks;
  return speaks_anthropic(head_->path()) ? dialect::anthropic : dialect::chat;
}

void session_state::answer_json(unsigned status, std::string_view body, header_list headers) {
  const auto type = headers.find("content-type");
  const bool encoded = headers.find("content-encoding").has_value();
  if (status != 204 && !encoded && (!type || !is_json_media(media_type(*type)))) {
    // SDKs hand out a string instead of an object when this is missing.
    headers.remove("content-type");
    headers.add("content-type", "application/json");
  }
  answer_text(status, body, std::move(headers));
}

void session_state::answer_text(unsigned status, std::string_view body, header_list headers) {
  status_ = status;
  headers.reserve(headers.size() + 2, 0);
  headers.add("x-request-id", id_);
  add_timing(headers);
  client_->start_answer({status, std::move(headers)}, body_framing::content_length, body.size(), false);
  client_->write(body);
}

/// `detail`: as error_body() takes it.
void session_state::refuse(const failure& fault, header_list headers, std::string_view detail) {
  if (phase_ == phase::closed) return;
  cancel_upstream();
  if (detail_.empty()) detail_ = fault.detail.empty() ? fault.message : fault.detail;
  if (client_->answer_started()) {
    break_answer(verdict_of(fault.code, missed_));
    return;
  }
  if (fault.code == errc::unauthorized) headers.add("www-authenticate", "Bearer");
  add_advice(headers, advice_for(fault.code));
  answer_json(describe(fault.code).status, error_body(speaks(), fault, detail), std::move(headers));
  end_answer(verdict_of(fault.code, missed_));
}

void session_state::end_answer(verdict how) {
  bytes_out_ = client_->body_bytes_written();
  client_->end_answer();
  finish(how);
}

void session_state::break_answer(verdict how) {
  bytes_out_ = client_->body_bytes_written();
  client_->break_answer();
  finish(how);
}

void session_state::finish(verdict how) {
  if (phase_ == phase::closed) return;
  note_phase(phase::closed);
  const auto left = std::exchange(phase_, phase::closed);
  cancel_upstream();
  deadline_.reset();
  silence_.reset();
  pause_.reset();
  total_.reset();
  if (trace_) end_trace(how);
  lease_ = {};
  leave_admission(left);
  if (std::exchange(counted_, false)) context_->in_flight->fetch_sub(1, std::memory_order_relaxed);
  context_->live->end(*this, to_string(how), status_);
  watch_.reset();
  scrape_.reset();
  const auto ms = since_start();
  log(how, ms);
  count(how, ms);
  if (!beginning_) self_->leave();
  // Last: from a socket's handler the exit message is what still holds the actor.
  const auto until_return = std::move(alive_);
}

session_state::~session_state() {
  if (phase_ == phase::closed) return;
  // The actor dies of an exception: its client still gets an answer, its slots are given back.
  try {
    fail({errc::internal, {}, "the session's actor died", {}});
  } catch (const std::exception& error) {
    spdlog::critical("session: {}", error.what());
    context_->live->remove(*this);
    client_->attach(nullptr);
    client_->end_without_memory();
  }
}

double session_state::since_start() const {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - started_).count();
}

void session_state::log(verdict how, double ms) const {
  access_record record;
  record.id = id_;
  record.method = head_->method;
  record.path = head_->path();
  record.verdict = to_string(how);
  if (key_) record.key = key_->name;
  record.model = model_;
  record.detail = detail_;
  if (trace_) record.trace_id = trace_->span.own.trace_id();
  record.status = static_cast<int>(status_);
  record.stream = wants_stream_;
  record.ms = ms;
  if (first_byte_ != steady_clock::time_point{}) {
    record.first_byte_ms = std::chrono::duration<double, std::milli>(first_byte_ - started_).count();
  }
  record.chunks = chunks_;
  record.bytes_in = bytes_in_;
  record.bytes_out = bytes_out_;
  if (usage_) {
    record.prompt_tokens = static_cast<std::int64_t>(usage_->prompt_tokens);
    record.completion_tokens = static_cast<std::int64_t>(usage_->completion_tokens);
  }
  log_access(record);
}

}  // namespace llm_proxy
