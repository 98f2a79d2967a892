#include "actors/telemetry/live_sessions.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace llm_proxy {

void live_sessions::add(live_session& session) {
  if (std::exchange(session.listed_, true)) return;
  session.next_ = std::exchange(first_, &session);
  if (session.next_ != nullptr) session.next_->before_ = &session;
  session.before_ = nullptr;
}

void live_sessions::remove(live_session& session) {
  if (!std::exchange(session.listed_, false)) return;
  (session.before_ != nullptr ? session.before_->next_ : first_) = session.next_;
  if (session.next_ != nullptr) session.next_->before_ = session.before_;
}

void live_sessions::end(live_session& session, std::string_view how, unsigned status) {
  if (!session.listed_) return;
  remove(session);
  if (!watched_) return;
  if (steady_clock::now() - asked_at_ > patience) {
    watched_ = false;
    ended_ = {};
    return;
  }
  if (ended_.size() == max_observed) ended_.pop_front();
  ended_.push_back({session.sample(), how, status});
  ++ends_;
}

observed live_sessions::look(const observe& asked, steady_clock::time_point now) {
  watched_ = true;
  asked_at_ = now;
  observed seen;
  seen.last = ends_;
  for (auto* each = first_; each != nullptr; each = each->next_) {
    if (asked.key && each->key_name() != *asked.key) continue;
    if (seen.requests.size() < max_observed) seen.requests.push_back(each->sample());
    ++seen.active;
  }
  if (!asked.since) return seen;
  const auto fresh = ends_ - std::min(ends_, *asked.since);
  const auto kept = std::min<std::uint64_t>(fresh, ended_.size());
  seen.missed = fresh - kept;
  std::copy_if(ended_.end() - static_cast<std::ptrdiff_t>(kept), ended_.end(), std::back_inserter(seen.ended),
               [&](const ended_session& each) { return !asked.key || each.last.key == *asked.key; });
  return seen;
}

observer_actor::behavior_type observer(pinned_pointer<observer_actor, observer_state>,
                                       std::shared_ptr<live_sessions> sessions) {
  return {[sessions = std::move(sessions)](const observe& asked) {
    return sessions->look(asked, steady_clock::now());
  }};
}

}  // namespace llm_proxy
