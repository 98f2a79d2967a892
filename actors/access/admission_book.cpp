#include "actors/access/admission_book.hpp"

#include <algorithm>
#include <cmath>

namespace llm_proxy {

namespace {

using std::chrono::seconds;

constexpr std::size_t remembered = 32;
constexpr auto lately = seconds{60};
constexpr seconds least_wait{1};
constexpr seconds longest_wait{60};

seconds rounded_up(std::chrono::duration<double> time) {
  return seconds{static_cast<std::int64_t>(std::ceil(time.count()))};
}

/// Returns a duration as OpenAI writes it: `250ms`, `12s`, `1m5s`.
std::string reset_text(std::chrono::duration<double> time) {
  if (time.count() < 1)
    return std::to_string(static_cast<std::int64_t>(std::ceil(time.count() * 1000))) + "ms";
  const auto whole = rounded_up(time).count();
  const auto rest = std::to_string(whole % 60) + "s";
  return whole < 60 ? rest : std::to_string(whole / 60) + "m" + rest;
}

void add_limit(header_list& headers, const std::string& kind, token_bucket& bucket,
               token_bucket::time_point now) {
  if (bucket.limit() <= 0) return;
  const auto whole = [](double number) { return std::to_string(static_cast<std::int64_t>(number)); };
  headers.add("x-ratelimit-limit-" + kind, whole(bucket.limit()));
  headers.add("x-ratelimit-remaining-" + kind, whole(std::max(0.0, bucket.left(now))));
  headers.add("x-ratelimit-reset-" + kind, reset_text(bucket.until(bucket.limit(), now)));
}

}  // namespace

// -- departures ----------------------------------------------------------------------

void departures::add(steady_clock::time_point now) {
  recent_.push_back(now);
  if (recent_.size() > remembered) recent_.pop_front();
}

seconds departures::expected(std::size_t count, steady_clock::time_point now) const {
  if (recent_.empty()) return least_wait;  // nothing is known yet
  const auto first =
      std::find_if(recent_.begin(), recent_.end(), [&](auto at) { return now - at <= lately; });
  if (first == recent_.end()) return longest_wait;
  const std::chrono::duration<double> elapsed = now - *first;
  const auto freed = static_cast<double>(recent_.end() - first);
  return std::clamp(rounded_up(elapsed * (static_cast<double>(count) / freed)), least_wait, longest_wait);
}

// -- the book ------------------------------------------------------------------------

admission_book::key_state& admission_book::state_of(const key_rules_ptr& rules, time_point now) {
  auto& key = keys_[rules->name];
  // A newer keys file may give the same name other limits.
  if (key.rules != rules) {
    key.rules = rules;
    key.requests.set_limit(static_cast<double>(rules->rpm), now);
    key.tokens.set_limit(static_cast<double>(rules->tpm), now);
  }
  return key;
}

admission_book::decision admission_book::ask(ticket who, const key_rules_ptr& rules, time_point now,
                                             request_cost cost) {
  auto& key = state_of(rules, now);
  const bool is_rated = cost == request_cost::full;
  if (is_rated && rules->rpm > 0 && key.requests.left(now) < 1) return refuse_rate(key, true, now);
  if (is_rated && rules->tpm > 0 && key.tokens.left(now) < 1) return refuse_rate(key, false, now);
  const bool must_wait = is_full() || key.is_full() || !key.waiting.empty();
  if (must_wait && key.waiting.size() >= options_.queue_size) return refuse_slot(key, {}, now);
  if (is_rated && rules->rpm > 0) key.requests.take(1, now);
  decision out;
  if (!must_wait) {
    take_slot(key);
    return out;
  }
  if (key.waiting.empty()) turn_.push_back(&key);
  key.waiting.push_back({who, now, cost});
  waiting_by_ticket_.emplace(who, &key);
  out.what = answer::queued;
  return out;
}

void admission_book::take_slot(key_state& key) {
  ++key.in_use;
  ++in_use_;
}

void admission_book::freed(const std::string& name, time_point now) {
  const auto at = keys_.find(name);
  if (at == keys_.end() || at->second.in_use == 0) return;
  --at->second.in_use;
  --in_use_;
  at->second.freed.add(now);
  freed_.add(now);
}

/// The request was never served, so the token that it took of its key's rpm is given back.
void admission_book::forget(key_state& key, std::deque<waiter>::iterator which, time_point now) {
  if (which->cost == request_cost::full) key.requests.give_back(1, now);
  waiting_by_ticket_.erase(which->who);
  key.waiting.erase(which);
  if (key.waiting.empty()) turn_.erase(std::find(turn_.begin(), turn_.end(), &key));
}

void admission_book::leave(ticket who, time_point now) {
  const auto known = waiting_by_ticket_.find(who);
  if (known == waiting_by_ticket_.end()) return;
  auto& key = *known->second;
  const auto at = std::find_if(key.waiting.begin(), key.waiting.end(),
                               [who](const waiter& each) { return each.who == who; });
  forget(key, at, now);
}

void admission_book::spent(const key_rules_ptr& rules, std::uint64_t tokens, time_point now) {
  // The keys file may have changed since the request began. `rules` may be outdated, so the limits stay as
  // they are.
  const auto at = keys_.find(rules->name);
  if (at != keys_.end()) at->second.tokens.take(static_cast<double>(tokens), now);
}

std::vector<admission_book::admitted> admission_book::admit() {
  std::vector<admitted> out;
  while (!is_full()) {
    const auto at = std::find_if(turn_.begin(), turn_.end(), [](auto* key) { return !key->is_full(); });
    if (at == turn_.end()) break;
    auto& key = **at;
    turn_.erase(at);
    out.push_back({key.waiting.front().who, key.rules});
    waiting_by_ticket_.erase(key.waiting.front().who);
    key.waiting.pop_front();
    if (!key.waiting.empty()) turn_.push_back(&key);
    take_slot(key);
  }
  return out;
}

std::vector<std::pair<admission_book::ticket, admission_book::decision>> admission_book::expire(
    time_point now) {
  std::vector<std::pair<ticket, decision>> out;
  if (options_.queue_timeout.count() == 0) return out;
  for (const auto keys = turn_; auto* key : keys) {
    while (!key->waiting.empty() && key->waiting.front().since + options_.queue_timeout <= now) {
      const auto who = key->waiting.front().who;
      forget(*key, key->waiting.begin(), now);
      out.emplace_back(who, refuse_slot(*key, "QUEUE_TIMEOUT", now));
    }
  }
  return out;
}

std::optional<admission_book::time_point> admission_book::next_expiry() const {
  std::optional<time_point> next;
  if (options_.queue_timeout.count() == 0) return next;
  for (const auto* key : turn_) {
    const auto due = key->waiting.front().since + options_.queue_timeout;
    next = std::min(next.value_or(due), due);
  }
  return next;
}

admission_book::decision admission_book::refuse_rate(key_state& key, bool by_requests, time_point now) {
  auto& bucket = by_requests ? key.requests : key.tokens;
  decision out;
  out.what = answer::refused;
  out.fault = {.code = errc::rate_limited,
               .message = "This key is at its limit of " +
                          std::to_string(by_requests ? key.rules->rpm : key.rules->tpm) +
                          (by_requests ? " requests" : " tokens") + " per minute.",
               .detail = by_requests ? "rpm" : "tpm"};
  const auto wait = std::max(least_wait, rounded_up(bucket.until(1, now)));
  out.headers.add("retry-after", std::to_string(wait.count()));
  add_limit(out.headers, "requests", key.requests, now);
  add_limit(out.headers, "tokens", key.tokens, now);
  return out;
}

admission_book::decision admission_book::refuse_slot(key_state& key, std::string detail, time_point now) {
  decision out;
  out.what = answer::refused;
  seconds wait{0};
  if (key.is_full()) {
    out.fault = {.code = errc::rate_limited,
                 .message = "This key is at its limit of " + std::to_string(key.rules->max_concurrent) +
                            " concurrent requests.",
                 .detail = detail.empty() ? "max_concurrent" : std::move(detail)};
    wait = key.freed.expected(key.waiting.size() + 1, now);
  } else {
    out.fault = {.code = errc::overloaded,
                 .detail = detail.empty() ? "MAX_CONCURRENT_REQUESTS" : std::move(detail)};
    wait = freed_.expected(waiting_by_ticket_.size() + 1, now);
  }
  out.headers.add("retry-after", std::to_string(wait.count()));
  add_limit(out.headers, "requests", key.requests, now);
  add_limit(out.headers, "tokens", key.tokens, now);
  return out;
}

}  // namespace llm_proxy
