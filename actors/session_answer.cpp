// The session's second half: from the adapter's first word to the client's last byte.
#include "actors/session.hpp"
#include "http/header_policy.hpp"
#include "http/openai.hpp"
#include "http/sse.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

namespace {

/// A JSON answer is held until it is whole up to this size; a longer one is passed on from there.
constexpr std::size_t max_held = 4 * 1024 * 1024;
/// Comments that come before a stream's first event wait for it, up to this size.
constexpr std::size_t max_early_comments = 16 * 1024;
/// Credit is given back in portions of this size, so that a usual stream costs no message for it.
constexpr std::size_t grant_portion = 16 * 1024;
/// nginx's word for "the client closed before the answer"; only in the log.
constexpr unsigned client_closed_request = 499;

}  // namespace

// -- from the adapter -----------------------------------------------------------------

void session_state::on_head(response_head&& head) {
  if (phase_ != phase::opening) return;
  answer_ = std::move(head);
  switch (plan_answer(answer_, wants_stream_)) {
    case answer_plan::refuse:
      fail({errc::upstream_invalid_response, {}, "upstream status " + std::to_string(answer_.status), {}});
      break;
    case answer_plan::stream: {
      const auto encoding = answer_.headers.find("content-encoding");
      judged_ = !encoding || iequals(trimmed(*encoding), "identity");
      // FIRST_BYTE_TIMEOUT runs on: a head and comments are no progress.
      enter_phase(phase::streaming);
      break;
    }
    case answer_plan::hold:
      enter_phase(phase::holding);
      deadline_->expires_after(context_->options.idle_timeout);
      break;
  }
}

void session_state::on_chunk(std::string&& data) {
  if (first_byte_ == steady_clock::time_point{}) first_byte_ = steady_clock::now();
  owed_ += data.size();
  if (phase_ == phase::streaming) {
    if (!judged_) {
      ++chunks_;
      deadline_->expires_after(context_->options.idle_timeout);
      pass_on(data);
    } else {
      const auto ready = judge_.feed(data);
      chunks_ = judge_.events();
      if (judge_.progress() != std::exchange(progress_, judge_.progress())) {
        deadline_->expires_after(context_->options.idle_timeout);
      }
      pass_on(ready);
    }
  } else if (phase_ == phase::holding) {
    ++chunks_;
    deadline_->expires_after(context_->options.idle_timeout);
    hold(data);
  } else {
    return;
  }
  grant();
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
  status_ = answer_.status;
  response_head out{status_, client_headers(answer_.headers)};
  out.headers.add("cache-control", "no-cache");
  out.headers.add("x-accel-buffering", "no");
  out.headers.add("x-request-id", id_);
  client_->start_answer(out, body_framing::chunked, 0, false);
  client_->write(held_);
  held_ = {};
}

void session_state::on_done() {
  stream_open_ = false;
  if (phase_ == phase::streaming) {
    end_stream();
  } else if (phase_ == phase::holding) {
    end_held();
  }
}

void session_state::end_stream() {
  if (!judged_) {
    if (!client_->answer_started()) commit_stream();
    end_answer(verdict::complete);
    return;
  }
  const auto rest = judge_.finish();
  chunks_ = judge_.events();
  usage_ = judge_.usage;
  if (!judge_.complete()) {
    fail({errc::upstream_disconnected, {}, "the stream ended without [DONE] or finish_reason", {}});
    return;
  }
  pass_on(rest);
  end_answer(judge_.error_seen() ? verdict::upstream_error : verdict::complete);
}

void session_state::hold(std::string_view bytes) {
  if (released_) {
    client_->write(bytes);
    return;
  }
  held_ += bytes;
  if (held_.size() > max_held) release_held();
}

void session_state::release_held() {
  if (answer_.status >= 300) {
    // Its status says enough.
    cancel_upstream();
    held_.clear();
    end_held();
    return;
  }
  released_ = true;
  status_ = answer_.status;
  response_head out{status_, client_headers(answer_.headers)};
  out.headers.add("x-request-id", id_);
  client_->start_answer(out, body_framing::chunked, 0, false);
  client_->write(std::exchange(held_, {}));
}

void session_state::end_held() {
  if (released_) {
    end_answer(verdict::complete);
    return;
  }
  auto outcome = judge_held(answer_, held_);
  usage_ = outcome.usage;
  detail_ = std::move(outcome.detail);
  auto headers = client_headers(answer_.headers);
  if (outcome.replaced) {
    if (outcome.code == errc::upstream_auth) {
      spdlog::error("request {}: upstream refused this service's key (LLM_PROXY__LITELLM_API_KEY)",
                    log_safe(id_));
    }
    headers.remove("content-type");
    headers.remove("content-encoding");
    if (outcome.status == describe(outcome.code).status) {
      refuse(*outcome.replaced, std::move(headers));
    } else {
      answer_json(outcome.status, body_of(*outcome.replaced), std::move(headers));
      end_answer(verdict_of(outcome.code));
    }
    return;
  }
  answer_json(outcome.status, held_, std::move(headers));
  end_answer(verdict_of(outcome.code));
}

void session_state::on_stream_failed(failure reason) {
  stream_open_ = false;
  fail(std::move(reason));
}

void session_state::grant() {
  if (!stream_open_) return;
  const auto kept = client_->backlog() + judge_.held();
  const auto free = owed_ - std::min(owed_, kept);
  if (free < grant_portion) return;
  // Upstream was held up by a slow client: its time runs from now on.
  if (owed_ >= credit_window && phase_ != phase::opening) {
    deadline_->expires_after(context_->options.idle_timeout);
  }
  owed_ -= free;
  self_->send(lease_.adapter, grant_credit{self_->id(), free});
}

// -- from the connection and the clock ----------------------------------------------------

void session_state::on_sent() {
  enter(self_, [this] { grant(); });
}

void session_state::on_client_gone() {
  enter(self_, [this] {
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
  // A client that reads slowly is not upstream's silence; CLIENT_WRITE_TIMEOUT watches it.
  if (phase_ != phase::opening && client_->backlog() > 0) {
    deadline_->expires_after(context_->options.idle_timeout);
    return;
  }
  const bool first = phase_ == phase::opening || (phase_ == phase::streaming && chunks_ == 0);
  fail({errc::upstream_timeout, {}, first ? "FIRST_BYTE_TIMEOUT" : "IDLE_TIMEOUT", {}});
}

void session_state::on_total_deadline() {
  // Until its body is there, the client is the slow one.
  const bool reading = phase_ == phase::reading;
  fail({reading ? errc::request_timeout : errc::upstream_timeout, {}, "REQUEST_TIMEOUT", {}});
}

// -- endings -----------------------------------------------------------------------------

void session_state::fail(failure reason) {
  if (phase_ == phase::closed) return;
  cancel_upstream();
  detail_ = reason.detail;
  const bool streaming = phase_ == phase::streaming;
  reason = cut_answer(std::move(reason), streaming);
  if (!client_->answer_started()) {
    refuse(reason);
    return;
  }
  // The status line is gone: the client learns of it by an error event, and by an end that is none.
  if (streaming && judged_ && !judge_.inside_event()) client_->write(sse_event(body_of(reason)));
  usage_ = judge_.usage;
  break_answer(verdict_of(reason.code));
}

void session_state::answer_json(unsigned status, std::string_view body, header_list headers) {
  status_ = status;
  const auto type = headers.find("content-type");
  const bool encoded = headers.find("content-encoding").has_value();
  if (!encoded && (!type || !is_json_media(media_type(*type)))) {
    // SDKs hand out a string instead of an object when this is missing.
    headers.remove("content-type");
    headers.add("content-type", "application/json");
  }
  headers.add("x-request-id", id_);
  client_->start_answer({status, std::move(headers)}, body_framing::content_length, body.size(), false);
  client_->write(body);
}

void session_state::refuse(const failure& fault, header_list headers) {
  if (phase_ == phase::closed) return;
  cancel_upstream();
  if (detail_.empty()) detail_ = fault.detail.empty() ? fault.message : fault.detail;
  if (client_->answer_started()) {
    break_answer(verdict_of(fault.code));
    return;
  }
  if (fault.code == errc::unauthorized) headers.add("www-authenticate", "Bearer");
  answer_json(describe(fault.code).status, body_of(fault), std::move(headers));
  end_answer(verdict_of(fault.code));
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

}  // namespace llm_proxy
