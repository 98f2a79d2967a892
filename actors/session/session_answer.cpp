// The session's second half: from the adapter's first word to the client's last byte.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/answer/error_shape.hpp"
#include "http/answer/error_text.hpp"
#include "http/answer/error_words.hpp"
#include "http/answer/litellm_error.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/wire/header_policy.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace llm_proxy {

namespace {

/// Comments that come before a stream's first event wait for it, up to this size.
constexpr std::size_t max_early_comments = 16 * 1024;
/// Credit is given back in portions of this size, so that a usual stream costs no message for it.
constexpr std::size_t grant_portion = 16 * 1024;
/// Behind a stream's last event its framing ends at once, unless upstream has forgotten it. No client is to
/// wait for that, and none is to hear of IDLE_TIMEOUT when it has the whole answer.
constexpr auto end_of_framing_wait = std::chrono::milliseconds{200};
/// Between two comments of a silent stream: well below the 60 s after which balancers cut.
constexpr auto keep_alive_pause = std::chrono::seconds{15};
/// nginx's word for "the client closed before the answer"; only in the log.
constexpr unsigned client_closed_request = 499;

/// The length that an answer passed on as it comes has, where upstream tells it.
std::optional<std::uint64_t> known_length(const response_head& head) {
  const auto text = head.headers.find("content-length");
  if (!text || head.headers.find("transfer-encoding")) return std::nullopt;
  std::uint64_t length = 0;
  const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), length);
  return fault == std::errc{} && end == text->data() + text->size() ? std::optional{length} : std::nullopt;
}

}  // namespace

// -- from the adapter -----------------------------------------------------------------

void session_state::on_head(stream_head&& head) {
  if (phase_ != phase::opening) return;
  if (head.done) stream_open_ = false;
  answer_ = std::move(head.head);
  connect_time_ = head.connect;
  if (connect_time_.count() > 0 && context_->health->shortage.ends())
    spdlog::info("connections to upstream can be opened again");
  if (log_steps()) {
    const auto ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
    const auto connection =
        connect_time_.count() > 0
            ? spdlog::fmt_lib::format("a new connection, made in {:.3f} ms", ms(connect_time_))
            : std::string{"a kept connection"};
    log_step(id_, "status {} after {:.3f} ms, on {}", answer_.status, ms(steady_clock::now() - opened_),
             connection);
  }
  note_reachable();
  begin_answer();
  const bool goes_on = phase_ == phase::streaming || phase_ == phase::holding;
  if (goes_on && (head.done || !head.data.empty())) on_chunk({std::move(head.data), head.done});
}

void session_state::begin_answer() {
  if (const auto told = answer_.headers.find("x-litellm-overhead-duration-ms"))
    overhead_ = read_overhead(*told).value_or(overhead_);
  switch (plan_answer(answer_, terms())) {
    case answer_plan::refuse:
      fail({errc::upstream_invalid_response,
            "The model gateway answered with the status " + std::to_string(answer_.status) +
                ", which is of no use here.",
            "upstream status " + std::to_string(answer_.status),
            {}});
      break;
    case answer_plan::stream: {
      const auto encoding = answer_.headers.find("content-encoding");
      judged_ = !encoding || iequals(trimmed(*encoding), "identity");
      // FIRST_BYTE_TIMEOUT runs on: a head and comments are no progress.
      event_stream_ = true;
      enter_phase(phase::streaming);
      if (early_) body_.reset();
      if (early_ && !judged_)
        fail({errc::upstream_invalid_response, {}, "a compressed stream after the comments", {}});
      break;
    }
    case answer_plan::pass:
      judged_ = false;
      enter_phase(phase::streaming);
      await_more();
      break;
    case answer_plan::hold:
      enter_phase(phase::holding);
      await_more();
      break;
  }
}

void session_state::on_chunk(stream_chunk&& chunk) {
  if (chunk.done) stream_open_ = false;
  if (!chunk.data.empty()) take_bytes(std::move(chunk.data));
  if (chunk.done) end_upstream();
}

/// Upstream's silence counts from now on.
void session_state::await_more() {
  if (stream_open_ && !judge_.last_event_seen()) deadline_->expires_after(context_->options.idle_timeout);
}

void session_state::take_bytes(std::string&& data) {
  if (first_byte_ == steady_clock::time_point{}) {
    first_byte_ = steady_clock::now();
    if (log_steps()) log_step(id_, "first byte of the answer after {:.3f} ms", since_start());
  }
  owed_ += data.size();
  if (phase_ == phase::streaming) {
    if (judged_) {
      pass_events_on(data);
    } else {
      ++chunks_;
      await_more();
      pass_on(data);
    }
  } else if (phase_ == phase::holding) {
    ++chunks_;
    await_more();
    hold(std::move(data));
  }
  if (phase_ == phase::streaming || phase_ == phase::holding) grant();
}

void session_state::pass_events_on(std::string_view bytes) {
  const bool was_answered = judge_.last_event_seen();
  // What follows the last event is no part of the answer: a client need not have taken it.
  if (was_answered && client_->backlog() == 0) last_event_sent_ = true;
  do {
    const auto ready = judge_.feed(bytes);
    auto error = judge_.take_error();
    if (!error.empty() && chunks_ == 0 && judge_.events() == 1 && !client_->answer_started()) {
      refuse_first_event(error);
      return;
    }
    pass_on(ready);
    if (!error.empty()) pass_error_on(std::move(error));
    bytes = bytes.substr(bytes.size() - judge_.unread());
  } while (!bytes.empty());
  chunks_ = judge_.events();
  if (judge_.progress() != std::exchange(progress_, judge_.progress())) await_more();
  if (stream_open_ && !was_answered && judge_.last_event_seen())
    deadline_->expires_after(end_of_framing_wait);
}

/// An error in the middle of a stream, in the words of the client's dialect.
void session_state::pass_error_on(std::string&& event) {
  cut_out_secret(event, context_->options.upstream_key);
  if (detail_.empty()) detail_ = "an error event: " + first_event_data(event);
  pass_on(worded_error_event(std::move(event), terms().wording, speaks(), judge_.next_sequence_number()));
}

void session_state::pass_on(std::string_view bytes) {
  if (!client_->answer_started()) {
    // Until the first event the status line stays open: what fails before it gets a true status.
    const bool event_came = !judged_ || judge_.events() > 0 || judge_.inside_event();
    if (!event_came && held_.size() + bytes.size() <= max_early_comments) {
      held_ += bytes;
      return;
    }
    commit_stream();
  }
  client_->write(bytes);
}

void session_state::commit_stream() {
  if (!early_) body_.reset();
  status_ = answer_.status;
  const auto length = event_stream_ ? std::nullopt : known_length(answer_);
  response_head out{status_, answer_headers()};
  out.headers.reserve(out.headers.size() + 4, 0);
  if (event_stream_) {
    out.headers.add("cache-control", "no-cache");
    out.headers.add("x-accel-buffering", "no");
  }
  out.headers.add("x-request-id", id_);
  add_timing(out.headers);
  client_->start_answer(out, length ? body_framing::content_length : body_framing::chunked,
                        length.value_or(0), false);
  client_->write(std::exchange(held_, {}));
  // What a stream that may last for hours need not hold.
  if (!uploading_) {
    client_->forget_headers();
    head_ = client_->head();
    route_.path = {};  // was a part of the old one
  }
}

/// Nothing was heard of a stream for a while: balancers between here and the client would take it for dead.
void session_state::on_silence() {
  silence_->expires_after(keep_alive_pause);
  if (std::exchange(heard_, judge_.progress()) != judge_.progress()) return;
  if (!client_->answer_started()) {
    if (phase_ != phase::opening && phase_ != phase::streaming) return;
    early_ = true;
    event_stream_ = true;
    if (phase_ == phase::opening) {
      answer_.status = 200;
      answer_.headers.add("content-type", "text/event-stream");
    }
    commit_stream();
  }
  if (!judge_.inside_event() && judged_ && event_stream_) client_->write(": keep-alive\n\n");
}

/// An error that came as a stream's first event, under a 200: the client gets the status that it means.
void session_state::refuse_first_event(std::string_view event) {
  cancel_upstream();
  held_ = first_event_data(event);
  auto error = as_error(held_);
  answer_.status = meaning_of(find_error(sole_object(error))).status;
  if (terms().wording == error_wording::normalized) held_ = std::move(error);
  answer_.headers.remove("content-type");
  end_held();
}

void session_state::end_upstream() {
  if (phase_ == phase::streaming) {
    end_stream();
  } else if (phase_ == phase::holding) {
    end_held();
  }
}

void session_state::end_stream() {
  if (!judged_) {
    if (chunks_ == 0 && route_.row->speaks != dialect::opaque) {
      fail({errc::upstream_invalid_response, "The model gateway answered without a body.", "empty body", {}});
      return;
    }
    if (!client_->answer_started()) commit_stream();
    judge_upstream({errc::none, {}, {}, {}});
    end_answer(verdict::complete);
    return;
  }
  const auto rest = judge_.finish();
  if (!judge_.complete()) {
    chunks_ = judge_.events();
    fail({errc::upstream_disconnected, {}, "the stream ended before its dialect's end", {}});
    return;
  }
  end_complete_stream(rest);
}

/// `rest`: what the judge has held back of it.
void session_state::end_complete_stream(std::string_view rest) {
  cancel_upstream();
  pass_on(rest);
  tell_timing(rest);
  judge_complete_stream();
  end_answer(stream_verdict());
}

verdict session_state::stream_verdict() const {
  return judge_.error_seen() || judge_.failed_seen() ? verdict::upstream_error : verdict::complete;
}

/// Counts a stream that came to its dialect's end.
void session_state::judge_complete_stream() {
  chunks_ = judge_.events();
  usage_ = judge_.usage;
  if (stream_verdict() == verdict::complete) judge_upstream({errc::none, {}, {}, {}});
}

void session_state::on_stream_failed(failure reason) {
  stream_open_ = false;
  if (!judge_.last_event_seen()) judge_upstream(reason);
  fail(std::move(reason));
}

void session_state::grant() {
  if (!stream_open_) return;
  const auto kept = client_->backlog() + judge_.held();
  const auto free = owed_ - std::min(owed_, kept);
  if (free < grant_portion) return;
  // Upstream was held up by a slow client: its time runs from now on.
  if (owed_ >= credit_window && phase_ != phase::opening) await_more();
  owed_ -= free;
  self_->send(lease_.adapter, grant_credit{self_->id(), free});
}

// -- from the connection and the clock ----------------------------------------------------

void session_state::on_sent() {
  enter(self_, [this] {
    grant();
    if (scrape_) send_more_metrics();
  });
}

void session_state::on_client_gone() {
  enter(self_, [this] {
    // Many SDKs close as soon as they have read the last event: they were served.
    if (judge_.last_event_seen() && (last_event_sent_ || client_->backlog() == 0)) {
      cancel_upstream();
      bytes_out_ = client_->body_bytes_written();
      judge_complete_stream();
      finish(stream_verdict());
      return;
    }
    note_patience_over();
    cancel_upstream(steady_clock::now());
    if (!client_->answer_started()) status_ = client_closed_request;
    bytes_out_ = client_->body_bytes_written();
    if (judge_.usage) usage_ = judge_.usage;
    finish(verdict::client_gone);
  });
}

void session_state::on_forced_end() {
  enter(self_, [this] { fail({errc::drained, {}, "DRAIN_TIMEOUT is over", {}}); });
}

void session_state::on_idle() {
  if (judge_.last_event_seen()) {
    end_complete_stream(judge_.finish_at_last_event());
    return;
  }
  // A client that reads slowly is not upstream's silence; CLIENT_WRITE_TIMEOUT watches it.
  if (phase_ != phase::opening && client_->backlog() > 0) {
    deadline_->expires_after(context_->options.idle_timeout);
    return;
  }
  const bool first = phase_ == phase::opening || (phase_ == phase::streaming && chunks_ == 0);
  missed_ = first ? missed::first_byte : missed::idle;
  const failure reason{errc::upstream_timeout, {}, first ? "FIRST_BYTE_TIMEOUT" : "IDLE_TIMEOUT", {}};
  judge_upstream(reason);
  fail(reason);
}

void session_state::on_total_deadline() {
  if (phase_ == phase::queued) {
    fail({errc::overloaded, {}, "REQUEST_TIMEOUT in the queue", {}});
    return;
  }
  // Until its body is there, the client is the slow one.
  const bool reading = phase_ == phase::reading || uploading_;
  note_patience_over();
  missed_ = missed::total;
  fail({reading ? errc::request_timeout : errc::upstream_timeout,
        {},
        shortened_ ? "x-request-timeout-ms" : "REQUEST_TIMEOUT",
        {}});
}

}  // namespace llm_proxy
