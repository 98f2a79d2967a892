// Upstream's answer, from its head to the client's last byte. A stream is passed on event by event. Any other
// answer is held until it is complete, or passed on once it is too long to be held.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/answer/error_shape.hpp"
#include "http/answer/error_words.hpp"
#include "http/answer/litellm_error.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/text/redact.hpp"
#include "http/wire/header_policy.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// How long the session waits for the end of the framing after a stream's last event. It normally comes at
/// once. If upstream never sends it, the client must not wait long, and must not get an IDLE_TIMEOUT error
/// when it already has the whole answer.
constexpr auto end_of_framing_wait = std::chrono::milliseconds{200};

}  // namespace

// -- the head ---------------------------------------------------------------------------

void session_state::on_head(stream_head&& answer) {
  if (phase_ != phase::opening) return;
  if (answer.done) attempt_.is_open = false;
  record_.attempt.connect = answer.connect;
  const bool is_new_connection = answer.connect.count() > 0;
  if (is_new_connection && context_->health->shortage.ends())
    spdlog::info("connections to upstream can be opened again");
  if (log_steps()) {
    const auto ms = [](auto time) { return std::chrono::duration<double, std::milli>(time).count(); };
    log_step(record_.id, "status {} after {:.3f} ms, on {}", answer.head.status,
             ms(steady_clock::now() - record_.attempt.opened_at),
             is_new_connection
                 ? spdlog::fmt_lib::format("a new connection, made in {:.3f} ms", ms(answer.connect))
                 : std::string{"a kept connection"});
  }
  note_reachable(answer.head.status);
  begin_answer(std::move(answer.head));
  const bool goes_on = phase_ == phase::streaming || phase_ == phase::holding;
  if (goes_on && (answer.done || !answer.data.empty())) on_chunk({std::move(answer.data), answer.done});
}

void session_state::begin_answer(response_head&& answer) {
  if (const auto told = answer.headers.find("x-litellm-overhead-duration-ms"))
    record_.attempt.overhead = read_overhead(*told).value_or(record_.attempt.overhead);
  switch (attempt_.take_head(std::move(answer), terms())) {
    case answer_plan::refuse:
      fail({.code = errc::upstream_invalid_response,
            .message = "The model gateway answered with the status " + std::to_string(attempt_.head.status) +
                       ", which is of no use here.",
            .detail = "upstream status " + std::to_string(attempt_.head.status)});
      break;
    case answer_plan::stream:
      // FIRST_BYTE_TIMEOUT keeps running, because a head and comments do not count as progress.
      enter_phase(phase::streaming);
      if (!reply_.is_early()) break;
      body_.reset();
      if (!attempt_.is_judged)
        fail({.code = errc::upstream_invalid_response, .detail = "a compressed stream after the comments"});
      break;
    case answer_plan::pass:
      enter_phase(phase::streaming);
      if (head().method == "HEAD" && !route_.row->method.empty())
        end_with_head();
      else
        await_more();
      break;
    case answer_plan::hold:
      enter_phase(phase::holding);
      await_more();
      break;
  }
}

answer_terms session_state::terms() const {
  const auto& row = *route_.row;
  // The errors of an unknown dialect are passed on unchanged, because we do not know their shape.
  const auto wording = row.speaks == dialect::opaque ? error_wording::raw : context_->options.wording;
  answer_terms out{row.speaks, wording, row.any_media,
                   record_.stream || row.body != body_kind::json || row.any_media};
  out.may_be_empty = row.method == "DELETE";
  // A stored object may have an `error` of its own, and a file may hold anything.
  const bool is_stored = row.headers == header_policy::resource;
  out.as_it_comes = is_stored || row.speaks == dialect::opaque;
  out.has_condition =
      is_stored && (head().headers.find("if-none-match") || head().headers.find("if-modified-since"));
  return out;
}

/// Returns those of upstream's headers that the client gets. Upstream's headers are moved from.
header_list session_state::client_headers_of_answer() {
  const auto policy = route_.row->headers;
  // Only the headers of this policy may name upstream's host.
  const bool has_host = policy == header_policy::resource && context_->upstreams;
  return client_headers(
      std::move(attempt_.head.headers), policy,
      has_host ? std::string_view{context_->upstreams->name(attempt_.lease.upstream)} : std::string_view{});
}

// -- the body -------------------------------------------------------------------------------

void session_state::on_chunk(stream_chunk&& chunk) {
  if (chunk.done) attempt_.is_open = false;
  if (!chunk.data.empty()) take_bytes(std::move(chunk.data));
  if (chunk.done) end_upstream();
}

void session_state::take_bytes(std::string&& bytes) {
  if (!record_.attempt.has_first_byte()) {
    record_.attempt.first_byte_at = steady_clock::now();
    if (log_steps()) {
      log_step(record_.id, "first byte of the answer after {:.3f} ms",
               record_.since_start(record_.attempt.first_byte_at).count());
    }
  }
  attempt_.note_received(bytes.size());
  if (phase_ == phase::streaming && attempt_.is_judged) {
    take_events(bytes);
  } else if (phase_ == phase::streaming || phase_ == phase::holding) {
    ++record_.attempt.chunks;
    await_more();
    if (phase_ == phase::streaming)
      pass_on(bytes);
    else
      hold(std::move(bytes));
  }
  if (phase_ == phase::streaming || phase_ == phase::holding) grant();
}

/// Restarts IDLE_TIMEOUT.
void session_state::await_more() {
  if (attempt_.is_open && !attempt_.judge.last_event_seen())
    clocks_.phase->expires_after(context_->options.idle_timeout);
}

void session_state::grant() {
  // While a slow client held upstream up, its silence did not count. Its time starts now.
  const bool was_held_up = attempt_.is_out_of_credit() && phase_ != phase::opening;
  const auto free = attempt_.take_credit(reply_.backlog());
  if (free == 0) return;
  if (was_held_up) await_more();
  self_->send(attempt_.lease.adapter, grant_credit{self_->id(), free});
}

void session_state::end_upstream() {
  if (phase_ == phase::streaming)
    end_stream();
  else if (phase_ == phase::holding)
    end_held();
}

// -- an answer that is passed on as it comes --------------------------------------------------

void session_state::take_events(std::string_view bytes) {
  const bool was_answered = attempt_.judge.last_event_seen();
  // Bytes after the last event are not part of the answer, so it does not matter whether the client reads
  // them.
  if (was_answered && reply_.backlog() == 0) attempt_.is_last_event_sent = true;
  do {
    auto piece = attempt_.take_events(bytes);
    if (piece.is_first && record_.attempt.chunks == 0 && !reply_.started()) {
      refuse_first_event(piece.error);
      return;
    }
    pass_on(piece.bytes);
    if (!piece.error.empty()) {
      // The client gets the error in its own dialect.
      redact(piece.error, context_->options.upstream_key);
      if (record_.detail.empty()) record_.detail = "an error event: " + first_event_data(piece.error);
      pass_on(worded_error_event(std::move(piece.error), terms().wording, speaks(),
                                 attempt_.judge.next_sequence_number()));
    }
  } while (!bytes.empty());
  record_.attempt.chunks = attempt_.judge.events();
  if (attempt_.has_progressed()) await_more();
  if (attempt_.is_open && !was_answered && attempt_.judge.last_event_seen())
    clocks_.phase->expires_after(end_of_framing_wait);
}

/// Answers an error that came as the first event of a stream with the status 200. The client gets the status
/// that the error means.
void session_state::refuse_first_event(std::string_view event) {
  cancel_upstream();
  attempt_.held = first_event_data(event);
  auto error = as_error(attempt_.held);
  attempt_.head.status = meaning_of(find_error(sole_object(error))).status;
  if (terms().wording == error_wording::normalized) attempt_.held = std::move(error);
  attempt_.head.headers.remove("content-type");
  end_held();
}

void session_state::pass_on(std::string_view bytes) {
  if (!reply_.started()) {
    if (reply_.hold_back(bytes, attempt_.has_event())) return;
    open_reply();
  }
  reply_.write(bytes);
}

void session_state::open_reply() {
  if (!reply_.is_early()) body_.reset();
  const auto length = attempt_.is_event_stream ? std::nullopt : attempt_.known_length();
  const auto status = attempt_.head.status;
  reply_.open({status, client_headers_of_answer()}, attempt_.is_event_stream, length);
  // A stream may last for hours, so it lets go of memory that it does not need any more.
  if (!upload_.is_coming) {
    client_->forget_headers();
    record_.head = client_->head();
    route_.path = {};  // it may be a view into the old head
  }
}

/// Answers a HEAD request with upstream's status and headers. Upstream was sent a GET instead, and the rest
/// of its answer is not read, because that may be a large file.
void session_state::end_with_head() {
  open_reply();
  judge_upstream({.code = errc::none});
  end(verdict::complete, closing::whole);
}

void session_state::end_stream() {
  if (!attempt_.is_judged) {
    if (record_.attempt.chunks == 0 && !terms().as_it_comes) {
      fail({.code = errc::upstream_invalid_response,
            .message = "The model gateway answered without a body.",
            .detail = "empty body"});
      return;
    }
    if (!reply_.started()) open_reply();
    judge_upstream({.code = errc::none});
    end(verdict::complete, closing::whole);
    return;
  }
  const auto rest = attempt_.judge.finish();
  if (!attempt_.judge.complete()) {
    record_.attempt.chunks = attempt_.judge.events();
    fail({.code = errc::upstream_disconnected, .detail = "the stream ended before its dialect's end"});
    return;
  }
  end_complete_stream(rest);
}

/// `rest` is what the judge has held back: an event without its blank line. Nothing may be written directly
/// after it, because it would become part of that event.
void session_state::end_complete_stream(std::string_view rest) {
  cancel_upstream();
  pass_on(rest);
  const auto& judge = attempt_.judge;
  if (context_->options.stream_timing && rest.empty() && !judge.error_seen() && !judge.inside_event() &&
      reply_.started()) {
    reply_.write_timing();
  }
  note_complete_stream();
  end(attempt_.stream_verdict(), closing::whole);
}

/// Notes the events and the usage of a stream that reached the end that its dialect defines.
void session_state::note_complete_stream() {
  record_.attempt.chunks = attempt_.judge.events();
  record_.attempt.usage = attempt_.judge.usage;
  if (attempt_.stream_verdict() == verdict::complete) judge_upstream({.code = errc::none});
}

// -- an answer that is held until it is whole ---------------------------------------------------

void session_state::hold(std::string&& bytes) {
  if (attempt_.is_released)
    reply_.write(bytes);
  else if (!attempt_.hold(std::move(bytes)))
    release_held();
}

/// Called when the body is too long to be judged. Passes on the part that was held; the rest follows as it
/// arrives.
void session_state::release_held() {
  if (reply_.started()) {
    fail({.code = errc::upstream_invalid_response, .detail = "no event stream after the comments"});
    return;
  }
  if (attempt_.head.status >= 300) {
    // The status alone says enough about the error.
    cancel_upstream();
    attempt_.held.clear();
    end_held();
    return;
  }
  attempt_.is_released = true;
  body_.reset();
  const auto status = attempt_.head.status;
  reply_.open({status, client_headers_of_answer()}, false, std::nullopt);
  reply_.write(std::exchange(attempt_.held, {}));
}

void session_state::end_held() {
  if (attempt_.is_released) {
    judge_upstream({.code = errc::none});
    end(verdict::complete, closing::whole);
    return;
  }
  auto outcome = judge_held(attempt_.head, attempt_.held, terms());
  const bool is_error = outcome.code != errc::none;
  // A 5xx that LiteLLM itself caused is a fault. All other complete answers show that LiteLLM works.
  if (attempt_.head.status >= 500 && outcome.advice.source == blame::litellm) {
    judge_upstream(
        {.code = errc::upstream_error, .detail = "status " + std::to_string(attempt_.head.status)});
  } else if (outcome.code != errc::upstream_invalid_response) {
    judge_upstream({.code = errc::none});
  }
  if (is_error && retry(outcome.status, outcome.advice)) return;
  record_.attempt.usage = outcome.usage;
  record_.attempt.response_model = std::move(outcome.model);
  record_.detail = std::move(outcome.detail);
  auto& body = outcome.body ? *outcome.body : attempt_.held;
  if (is_error) {
    redact(record_.detail, context_->options.upstream_key);
    redact(body, context_->options.upstream_key);
  }
  if (outcome.code == errc::upstream_auth) {
    spdlog::error("request {}: {} (LLM_PROXY__LITELLM_API_KEY)", log_safe(record_.id),
                  log_safe(record_.detail));
  }
  if (reply_.started()) {
    end_early_stream(outcome);
    return;
  }
  auto headers = client_headers_of_answer();
  if (is_error) add_advice(headers, outcome.advice);
  if (outcome.body) {
    headers.remove("content-type");
    headers.remove("content-encoding");
  }
  if (head().method == "HEAD" && route_.row->method.empty())
    reply_.send_head(outcome.status, std::move(headers));
  else
    reply_.send_json(outcome.status, body, std::move(headers));
  end(verdict_of(outcome.code), closing::whole);
}

/// Ends a stream that was opened early, when upstream's answer turned out not to be a stream.
void session_state::end_early_stream(const held_verdict& outcome) {
  if (outcome.code == errc::none) {
    fail({.code = errc::upstream_invalid_response, .detail = "no event stream after the comments"});
    return;
  }
  const auto error = find_error(outcome.body ? *outcome.body : attempt_.held);
  const std::string_view message =
      error.message.empty() ? describe(outcome.code).message : std::string_view{error.message};
  reply_.write(error_event(speaks(), {outcome.status, message, error.type, {}, error.code}, 0));
  end(verdict_of(outcome.code), closing::broken);
}

}  // namespace llm_proxy
