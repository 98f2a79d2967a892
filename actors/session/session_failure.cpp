// How a request fails, and what a failure says about the upstream. The client gets the error in its own
// dialect, with a status if none was sent yet.
#include "actors/models/model_lists.hpp"
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/answer/error_shape.hpp"
#include "http/answer/litellm_error.hpp"

#include <utility>

namespace llm_proxy {

/// Ends the request because of something that happened after it was accepted, unless it is tried again.
void session_state::fail(failure reason) {
  if (phase_ == phase::closed) return;
  if (attempt_.judge.last_event_seen()) {
    // The client has the whole answer already, so the failure does not matter to it.
    end_complete_stream(attempt_.judge.finish_at_last_event());
    return;
  }
  cancel_upstream();
  if (reason.code == errc::upstream_unreachable || reason.code == errc::upstreams_down) note_unreachable();
  record_.detail = reason.detail;
  const bool is_streaming = reply_.is_early() || (phase_ == phase::streaming && attempt_.is_event_stream);
  reason = cut_answer(std::move(reason), is_streaming);
  // A request that hit one of our own timeouts is not tried again, except after CONNECT_TIMEOUT.
  const auto missed_deadline = attempt_.missed_deadline;
  const bool is_late = missed_deadline != missed::none && missed_deadline != missed::connect;
  const auto& row = describe(reason.code);
  if (!is_late && row.source == error_source::upstream && retry(row.status, advice_for(reason.code))) return;
  if (!reply_.started()) {
    refuse(reason);
    return;
  }
  // The status line was sent: the client learns of the failure from an error event, and from a body that does
  // not end properly.
  if (is_streaming && attempt_.is_judged && !attempt_.judge.inside_event())
    reply_.write(error_event(speaks(), reason, attempt_.judge.next_sequence_number()));
  record_.attempt.usage = attempt_.judge.usage;
  end(verdict_of(reason.code, missed_deadline), closing::broken);
}

/// Answers with an error if no answer has begun, otherwise breaks the answer off. `detail` is passed to
/// error_body().
void session_state::refuse(const failure& reason, header_list headers, std::string_view detail) {
  if (phase_ == phase::closed) return;
  cancel_upstream();
  if (record_.detail.empty()) record_.detail = reason.detail.empty() ? reason.message : reason.detail;
  const auto how = verdict_of(reason.code, attempt_.missed_deadline);
  if (reply_.started()) {
    end(how, closing::broken);
    return;
  }
  if (phase_ == phase::authorizing) record_.has_timing = goes_upstream();
  reply_.refuse(reason, speaks(), std::move(headers), detail);
  end(how, closing::whole);
}

dialect session_state::speaks() const {
  if (asks_in_anthropic_shape(route_.target, head())) return dialect::anthropic;
  if (route_.row != nullptr) return route_.row->speaks;
  return speaks_anthropic(head().path()) ? dialect::anthropic : dialect::chat;
}

// -- the upstream ---------------------------------------------------------------------------------

void session_state::cancel_upstream(steady_clock::time_point since) {
  if (!std::exchange(attempt_.is_open, false)) return;
  caf::anon_send(attempt_.lease.adapter, cancel_stream{self_->id(), since, attempt_.judge.last_event_seen()});
}

void session_state::on_stream_failed(failure reason) {
  attempt_.is_open = false;
  if (!attempt_.judge.last_event_seen()) judge_upstream(reason);
  fail(std::move(reason));
}

void session_state::on_open_failed(failure reason) {
  attempt_.is_open = false;
  if (log_steps())
    log_step(record_.id, "no answer: {} ({})", describe(reason.code).name, log_safe(reason.detail));
  // Before the head arrives, the adapter's only deadline is the one for the connect.
  if (reason.code == errc::upstream_timeout) attempt_.missed_deadline = missed::connect;
  judge_upstream(reason);
  if (reason.code == errc::out_of_resources && context_->health->shortage.begins(steady_clock::now())) {
    spdlog::error("no connection to upstream can be opened for now ({}): requests get 503 out_of_resources",
                  reason.detail);
  }
  const bool no_connect = reason.code == errc::upstream_unreachable || reason.code == errc::upstream_timeout;
  if (no_connect) record_.attempt.connect = steady_clock::now() - record_.attempt.opened_at;
  if (no_connect && several_upstreams() && phase_ == phase::opening) {
    if (reach_another()) return;
    attempt_.missed_deadline = missed::none;
    reason.code = errc::upstreams_down;
  }
  fail(std::move(reason));
}

void session_state::note_unreachable() {
  // Only the first session that notices it asks the registry to fetch the model list. The registry then tries
  // again until a fetch works.
  if (context_->health->usable_upstreams.exchange(0) > 0) self_->send(context_->registry, refresh_due{});
}

/// Called when upstream has answered. The service is ready again at once, and an upstream that was left out
/// is used again.
void session_state::note_reachable(unsigned status) {
  auto& usable = context_->health->usable_upstreams;
  if (usable.load(std::memory_order_relaxed) == 0) usable = 1;
  auto* table = context_->upstreams.get();
  const auto upstream = attempt_.lease.upstream;
  // Errors like this one may be the reason why it was left out.
  if (table == nullptr || status >= 500 || table->usable(upstream)) return;
  table->answered(upstream, record_.attempt.opened_at, steady_clock::now());
}

/// Called when the client gave up or the time of the request is over. If upstream has the whole request and
/// has not answered a byte, the upstream_table notes it. Only several such clients and a failed probe have
/// consequences for the upstream.
void session_state::note_patience_over() {
  if (phase_ != phase::opening || !attempt_.is_open || upload_.is_coming || !context_->probe) return;
  const auto upstream = attempt_.lease.upstream;
  if (context_->upstreams->abandoned(upstream, steady_clock::now()))
    self_->send(context_->probe, upstream_suspected{upstream});
}

/// Tells the upstream_table what `reason` says about the upstream of this attempt. errc::none is a success.
void session_state::judge_upstream(const failure& reason) {
  auto* table = context_->upstreams.get();
  if (table == nullptr || phase_ == phase::closed) return;
  if (reason.code == errc::none) {
    table->succeeded(attempt_.lease.upstream);
  } else if (describe(reason.code).source == error_source::upstream) {
    std::string why{describe(reason.code).name};
    if (!reason.detail.empty()) why += " (" + log_safe(reason.detail) + ")";
    table->failed(attempt_.lease.upstream, why);
  }
}

}  // namespace llm_proxy
