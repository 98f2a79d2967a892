#include "http/loop/deadlines.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace llm_proxy {

deadline::deadline(deadlines& owner, deadline_call on_expiry) : owner_{owner}, on_expiry_{on_expiry} {}

deadline::~deadline() {
  owner_.remove(*this);
}

void deadline::expires_after(steady_clock::duration timeout) {
  if (timeout <= steady_clock::duration::zero()) {
    cancel();
  } else {
    // Counting from the turn's beginning would save reading the clock. But in a turn that has lasted longer
    // than `timeout` the deadline would be due at once, and one that sets itself again would never end.
    expires_at(owner_.now() + timeout);
  }
}

void deadline::expires_at(steady_clock::time_point when) {
  due_ = when;
  if (when < queued_) owner_.enqueue(*this, when);
}

std::chrono::milliseconds deadline::left() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(due_ - owner_.now());
}

void deadlines::enqueue(deadline& entry, steady_clock::time_point when) {
  remove(entry);
  entry.queued_ = when;
  queue_.insert(entry);
}

void deadlines::remove(deadline& entry) {
  if (entry.queued_ == deadline::never) return;
  queue_.erase(queue_.iterator_to(entry));
  entry.queued_ = deadline::never;
}

int deadlines::timeout_ms() const {
  if (queue_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(queue_.begin()->queued_ - now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

std::size_t deadlines::run_due(steady_clock::time_point when) {
  const auto due_by = when + moved_;
  std::size_t called = 0;
  // on_expiry may destroy its own deadline and others, so after each call the loop looks only at the queue's
  // front.
  while (!queue_.empty() && queue_.begin()->queued_ <= due_by) {
    auto& entry = *queue_.begin();
    remove(entry);
    if (entry.due_ == deadline::never) continue;
    if (entry.due_ > due_by) {
      entry.queued_ = entry.due_;
      queue_.insert(entry);
      continue;
    }
    entry.due_ = deadline::never;
    const auto call = entry.on_expiry_;  // a copy, because the call may destroy the deadline
    ++called;
    call();
  }
  return called;
}

void deadlines::advance(steady_clock::duration duration) {
  moved_ += duration;
  run_due(steady_clock::now());
}

}  // namespace llm_proxy
