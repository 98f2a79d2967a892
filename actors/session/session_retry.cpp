// The session's second chances: another upstream when one cannot be reached, and RETRIES. Nothing of it once
// the client has got a byte.
#include "actors/session/session.hpp"
#include "config/request_steps.hpp"
#include "http/wire/retry_after.hpp"

#include <charconv>
#include <random>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::string_view allowed_time = "x-request-timeout-ms";
constexpr std::int64_t longest_allowed = 30LL * 24 * 3600 * 1000;

double random_fraction() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return std::uniform_real_distribution<double>{}(engine);
}

bool may_differ_next_time(unsigned status) {
  return status == 429 || (status >= 502 && status <= 504);
}

}  // namespace

/// A client may shorten its request's time, never lengthen it.
failure session_state::limit_time() {
  const auto text = head_->headers.find(allowed_time);
  if (!text) return {errc::none, {}, {}, {}};
  const auto digits = trimmed(*text);
  std::int64_t allowed = 0;
  const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), allowed);
  if (wrong != std::errc{} || end != digits.data() + digits.size() || allowed < 1 ||
      allowed > longest_allowed || head_->headers.count(allowed_time) > 1) {
    return {errc::bad_request,
            "The header x-request-timeout-ms takes one whole number of milliseconds, from 1 to " +
                std::to_string(longest_allowed) + ".",
            {},
            std::string{allowed_time}};
  }
  const auto ours = context_->options.request_timeout.count();
  shortened_ = ours <= 0 || allowed < ours;
  if (!shortened_) allowed = ours;
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - started_);
  allowed_until_ = context_->home->timers().now() + std::chrono::milliseconds{allowed} - passed;
  if (!total_) {
    total_ = std::make_unique<deadline>(context_->home->timers(),
                                        [this] { enter(self_, [this] { on_total_deadline(); }); });
  }
  if (shortened_) total_->expires_at(*allowed_until_);
  return {errc::none, {}, {}, {}};
}

/// Only an adapter that was given up and is on another thread can still have something on its way.
bool session_state::sender_has_lease() const {
  return self_->current_sender() == caf::actor_cast<caf::strong_actor_ptr>(lease_.adapter);
}

void session_state::on_open_failed(failure reason) {
  stream_open_ = false;
  if (log_steps()) log_step(id_, "no answer: {} ({})", describe(reason.code).name, log_safe(reason.detail));
  // Before a head only the connect has a deadline in the adapter.
  if (reason.code == errc::upstream_timeout) missed_ = missed::connect;
  judge_upstream(reason);
  if (reason.code == errc::out_of_resources && context_->health->shortage.begins(steady_clock::now())) {
    spdlog::error("no connection to upstream can be opened for now ({}): requests get 503 out_of_resources",
                  reason.detail);
  }
  const bool no_connect = reason.code == errc::upstream_unreachable || reason.code == errc::upstream_timeout;
  if (no_connect) connect_time_ = steady_clock::now() - opened_;
  if (no_connect && several_upstreams() && phase_ == phase::opening) {
    if (reach_another()) return;
    missed_ = missed::none;
    reason.code = errc::upstreams_down;
  }
  fail(std::move(reason));
}

/// The request goes to an upstream that it did not try yet, unseen by the client. When no usable one is left,
/// those that were left out are tried too, each once: they may be well again, and nothing else can help.
bool session_state::reach_another() {
  tried_ |= bit_of(lease_.upstream);
  const auto& table = *context_->upstreams;
  // Of an upload that has begun the beginning is gone.
  if ((upload_ && !given_) || !table.any_but(tried_)) return false;
  missed_ = missed::none;
  lease_ = {};
  lease(!table.any_usable_but(tried_));
  return true;
}

/// True if the request is tried again instead of being answered with `status`.
bool session_state::retry(unsigned status, const error_advice& advice) {
  const auto& options = context_->options;
  if (options.retries == 0 || retries_ >= options.retries || upload_ || !may_differ_next_time(status) ||
      !advice.retryable || client_->answer_started()) {
    return false;
  }
  std::optional<std::chrono::milliseconds> left;
  if (total_ && total_->armed()) left = total_->left();
  std::optional<std::chrono::milliseconds> asked;
  if (!advice.retry_after.empty()) {
    asked = parse_retry_after(advice.retry_after, std::chrono::system_clock::now());
  }
  const auto pause = retry_pause(retries_ + 1, asked, left, random_fraction());
  if (!pause || !context_->budget->spend()) return false;
  ++retries_;
  spdlog::info("request {}: {} ({}), retry {} of {} in {} ms", log_safe(id_), status, log_safe(detail_),
               retries_, options.retries, pause->count());
  start_over();
  pause_ =
      std::make_unique<deadline>(context_->home->timers(), [this] { enter(self_, [this] { lease(); }); });
  pause_->expires_after(*pause);
  return true;
}

/// Forgets the answer at hand.
void session_state::start_over() {
  cancel_upstream();
  enter_phase(phase::opening);
  deadline_.reset();
  tried_ = bit_of(lease_.upstream);  // another one, if there is one
  lease_ = {};
  answer_ = {};
  judge_ = usage_added_ ? stream_judge{route_.row->speaks, true} : stream_judge{route_.row->speaks};
  judged_ = true;
  event_stream_ = false;
  missed_ = missed::none;
  held_.clear();
  owed_ = 0;
  progress_ = heard_ = chunks_ = 0;
  first_byte_ = {};
  connect_time_ = {};
  overhead_ = std::chrono::nanoseconds{-1};
  usage_.reset();
  detail_.clear();
}

/// The client gave up, or the time it allows is over. Where upstream has the request and has not said a word,
/// the table hears of it: it takes several such clients, and a probe, for more to come of that.
void session_state::note_patience_over() {
  if (phase_ != phase::opening || !stream_open_ || uploading_ || !context_->probe) return;
  if (context_->upstreams->abandoned(lease_.upstream, steady_clock::now()))
    self_->send(context_->probe, upstream_suspected{lease_.upstream});
}

/// Tells the table of upstreams what `reason` (none: a success) says about the one at hand.
void session_state::judge_upstream(const failure& reason) {
  auto* table = context_->upstreams.get();
  if (table == nullptr || phase_ == phase::closed) return;
  if (reason.code == errc::none) {
    table->succeeded(lease_.upstream);
  } else if (describe(reason.code).source == error_source::upstream) {
    std::string why{describe(reason.code).name};
    if (!reason.detail.empty()) why += " (" + log_safe(reason.detail) + ")";
    table->failed(lease_.upstream, why);
  }
}

}  // namespace llm_proxy
