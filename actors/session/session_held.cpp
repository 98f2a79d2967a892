// An answer that is no event stream: held until it is whole, so that it can be judged, or passed on when it
// grows too long for that.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "http/answer/error_shape.hpp"
#include "http/answer/error_text.hpp"
#include "http/answer/litellm_error.hpp"
#include "http/dialect/embedded_error.hpp"
#include "http/wire/header_policy.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// A JSON answer is held until it is whole up to this size; a longer one is passed on from there.
constexpr std::size_t max_held = 4 * 1024 * 1024;

}  // namespace

void session_state::hold(std::string&& bytes) {
  if (released_) {
    client_->write(bytes);
    return;
  }
  if (held_.empty()) {
    held_ = std::move(bytes);
  } else {
    held_ += bytes;
  }
  if (held_.size() > max_held) release_held();
}

void session_state::release_held() {
  if (client_->answer_started()) {
    fail({errc::upstream_invalid_response, {}, "no event stream after the comments", {}});
    return;
  }
  if (answer_.status >= 300) {
    // Its status says enough.
    cancel_upstream();
    held_.clear();
    end_held();
    return;
  }
  released_ = true;
  body_.reset();
  status_ = answer_.status;
  response_head out{status_, answer_headers()};
  out.headers.add("x-request-id", id_);
  add_timing(out.headers);
  client_->start_answer(out, body_framing::chunked, 0, false);
  client_->write(std::exchange(held_, {}));
}

void session_state::end_held() {
  if (released_) {
    judge_upstream({errc::none, {}, {}, {}});
    end_answer(verdict::complete);
    return;
  }
  auto outcome = judge_held(answer_, held_, terms());
  // A 5xx that LiteLLM itself is to blame for; all other whole answers show that it works.
  if (answer_.status >= 500 && outcome.advice.source == blame::litellm) {
    judge_upstream({errc::upstream_error, {}, "status " + std::to_string(answer_.status), {}});
  } else if (outcome.code != errc::upstream_invalid_response) {
    judge_upstream({errc::none, {}, {}, {}});
  }
  if (outcome.code != errc::none && retry(outcome.status, outcome.advice)) return;
  usage_ = outcome.usage;
  judge_.model = std::move(outcome.model);
  detail_ = std::move(outcome.detail);
  if (outcome.code != errc::none) {
    cut_out_secret(detail_, context_->options.upstream_key);
    cut_out_secret(outcome.body ? *outcome.body : held_, context_->options.upstream_key);
  }
  if (outcome.code == errc::upstream_auth) {
    spdlog::error("request {}: {} (LLM_PROXY__LITELLM_API_KEY)", log_safe(id_), log_safe(detail_));
  }
  if (client_->answer_started()) {
    end_early_stream(outcome);
    return;
  }
  auto headers = answer_headers();
  if (outcome.code != errc::none) add_advice(headers, outcome.advice);
  if (outcome.body) {
    headers.remove("content-type");
    headers.remove("content-encoding");
  }
  if (head_->method == "HEAD" && route_.row->method.empty()) {
    answer_head_only(outcome.status, std::move(headers));
  } else {
    answer_json(outcome.status, outcome.body ? *outcome.body : held_, std::move(headers));
  }
  end_answer(verdict_of(outcome.code));
}

/// The error that answers a HEAD which upstream got: how long the body of the same GET is, nobody has said.
void session_state::answer_head_only(unsigned status, header_list headers) {
  status_ = status;
  headers.add("x-request-id", id_);
  add_timing(headers);
  client_->start_answer({status, std::move(headers)}, body_framing::chunked, 0, false);
}

/// What the client gets of upstream's headers, which are used up with that.
header_list session_state::answer_headers() {
  const auto policy = route_.row->headers;
  // Only there may a header name upstream's host.
  const bool has_host = policy == header_policy::resource && context_->upstreams;
  return client_headers(std::move(answer_.headers), policy,
                        has_host ? std::string_view{context_->upstreams->name(lease_.upstream)} : "");
}

/// A stream that was opened early turned out to be none.
void session_state::end_early_stream(const held_verdict& outcome) {
  if (outcome.code == errc::none) {
    fail({errc::upstream_invalid_response, {}, "no event stream after the comments", {}});
    return;
  }
  const std::string& body = outcome.body ? *outcome.body : held_;
  const auto error = find_error(body);
  const std::string_view message =
      error.message.empty() ? describe(outcome.code).message : std::string_view{error.message};
  client_->write(error_event(speaks(), {outcome.status, message, error.type, {}, error.code}, 0));
  break_answer(verdict_of(outcome.code));
}

}  // namespace llm_proxy
