// A session's deadlines, and what its client does meanwhile: it reads slowly, leaves, or is cut off.
#include "actors/session/session.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// The pause between two comments of a silent stream. It is well below the 60 s after which load balancers
/// cut a connection.
constexpr auto keep_alive_pause = std::chrono::seconds{15};
/// nginx's status for a client that closed the connection before the answer. It is only used in the log.
constexpr unsigned client_closed_request = 499;

}  // namespace

// -- the client -----------------------------------------------------------------------------

void session_state::on_sent() {
  enter(self_, [this] {
    grant();
    if (scrape_) send_more_metrics();
  });
}

void session_state::on_client_gone() {
  enter(self_, [this] {
    // Many SDKs close the connection as soon as they have read the last event. They got the whole answer.
    if (attempt_.judge.last_event_seen() && (attempt_.is_last_event_sent || reply_.backlog() == 0)) {
      cancel_upstream();
      note_complete_stream();
      end(attempt_.stream_verdict(), closing::none);
      return;
    }
    note_patience_over();
    cancel_upstream(steady_clock::now());
    if (!reply_.started()) record_.status = client_closed_request;
    if (attempt_.judge.usage) record_.attempt.usage = attempt_.judge.usage;
    end(verdict::client_gone, closing::none);
  });
}

void session_state::on_forced_end() {
  enter(self_, [this] { fail({.code = errc::drained, .detail = "DRAIN_TIMEOUT is over"}); });
}

// -- the clock -------------------------------------------------------------------------------

void session_state::on_idle() {
  if (attempt_.judge.last_event_seen()) {
    end_complete_stream(attempt_.judge.finish_at_last_event());
    return;
  }
  // If the client reads slowly, upstream is not to blame for the silence. CLIENT_WRITE_TIMEOUT watches the
  // client.
  if (phase_ != phase::opening && reply_.backlog() > 0) {
    clocks_.phase->expires_after(context_->options.idle_timeout);
    return;
  }
  const bool is_first =
      phase_ == phase::opening || (phase_ == phase::streaming && record_.attempt.chunks == 0);
  attempt_.missed_deadline = is_first ? missed::first_byte : missed::idle;
  const failure reason{.code = errc::upstream_timeout,
                       .detail = is_first ? "FIRST_BYTE_TIMEOUT" : "IDLE_TIMEOUT"};
  judge_upstream(reason);
  fail(reason);
}

void session_state::on_total_deadline() {
  if (phase_ == phase::queued) {
    fail({.code = errc::overloaded, .detail = "REQUEST_TIMEOUT in the queue"});
    return;
  }
  // As long as the body is incomplete, the client is the slow side.
  const bool is_reading = phase_ == phase::reading || upload_.is_coming;
  note_patience_over();
  attempt_.missed_deadline = missed::total;
  fail({.code = is_reading ? errc::request_timeout : errc::upstream_timeout,
        .detail = is_shortened_ ? "x-request-timeout-ms" : "REQUEST_TIMEOUT"});
}

/// Called when a stream has been silent for a while: load balancers on the way to the client would take it
/// for dead.
void session_state::on_silence() {
  clocks_.silence->expires_after(keep_alive_pause);
  if (attempt_.was_heard()) return;
  if (!reply_.started()) {
    if (phase_ != phase::opening && phase_ != phase::streaming) return;
    reply_.note_early();
    attempt_.is_event_stream = true;
    if (phase_ == phase::opening) {
      attempt_.head.status = 200;
      attempt_.head.headers.add("content-type", "text/event-stream");
    }
    open_reply();
  }
  if (!attempt_.judge.inside_event() && attempt_.is_judged && attempt_.is_event_stream)
    reply_.write_keep_alive();
}

}  // namespace llm_proxy
