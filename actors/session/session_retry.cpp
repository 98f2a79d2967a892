// How a request is tried again: at another upstream if one cannot be reached, and after a failure (RETRIES).
// It is never tried again once the client has got a byte.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "http/wire/retry_after.hpp"

#include <random>
#include <utility>

namespace llm_proxy {

namespace {

double random_fraction() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return std::uniform_real_distribution<double>{}(engine);
}

bool may_differ_next_time(unsigned status) {
  return status == 429 || (status >= 502 && status <= 504);
}

}  // namespace

/// Returns whether the current message is from the adapter of this attempt. Only an abandoned adapter on
/// another thread can still have a message on its way.
bool session_state::sender_has_lease() const {
  return self_->current_sender() == caf::actor_cast<caf::strong_actor_ptr>(attempt_.lease.adapter);
}

/// Sends the request to an upstream that it has not tried yet, without the client noticing. If no usable one
/// is left, each upstream that was left out is tried once too, because it may work again. Returns false if
/// there is no other upstream, or if an upload has started.
bool session_state::reach_another() {
  tried_upstreams_ |= bit_of(attempt_.lease.upstream);
  const auto& table = *context_->upstreams;
  // An upload that has started cannot be replayed.
  if ((upload_.exists && !upload_.given) || !table.any_but(tried_upstreams_)) return false;
  attempt_.missed_deadline = missed::none;
  attempt_.lease = {};
  lease(!table.any_usable_but(tried_upstreams_));
  return true;
}

/// Returns true if the request is tried again instead of being answered with `status`.
bool session_state::retry(unsigned status, const error_advice& advice) {
  const auto& options = context_->options;
  if (options.retries == 0 || record_.retries >= options.retries || upload_.exists ||
      !may_differ_next_time(status) || !advice.retryable || reply_.started()) {
    return false;
  }
  std::optional<std::chrono::milliseconds> left;
  if (clocks_.total && clocks_.total->armed()) left = clocks_.total->left();
  std::optional<std::chrono::milliseconds> asked;
  if (!advice.retry_after.empty())
    asked = parse_retry_after(advice.retry_after, std::chrono::system_clock::now());
  const auto pause = retry_pause(record_.retries + 1, asked, left, random_fraction());
  if (!pause || !context_->budget->spend()) return false;
  ++record_.retries;
  spdlog::info("request {}: {} ({}), retry {} of {} in {} ms", log_safe(record_.id), status,
               log_safe(record_.detail), record_.retries, options.retries, pause->count());
  start_over();
  clocks_.pause =
      std::make_unique<deadline>(context_->home->timers(), calling<&session_state::lease_again>());
  clocks_.pause->expires_after(*pause);
  return true;
}

/// Begins a new attempt that keeps nothing of the one before.
void session_state::start_over() {
  cancel_upstream();
  enter_phase(phase::opening);
  clocks_.phase.reset();
  tried_upstreams_ = bit_of(attempt_.lease.upstream);  // prefers another upstream, if there is one
  attempt_ = attempt{route_.row->speaks, adds_usage_};
  // Until the request is sent again, the times of the last attempt stay in the record.
  record_.attempt =
      attempt_record{.opened_at = record_.attempt.opened_at, .sent_at = record_.attempt.sent_at};
  record_.detail.clear();
  reply_.start_over();
}

}  // namespace llm_proxy
