// The state of the whole service. All threads share it, and GET /health/ready reads it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

namespace llm_proxy {

/// Whether this machine lacks the resources for another connection to upstream. It lets the log report the
/// beginning and the end of such a shortage once each, however many requests notice it. Thread-safe.
class resource_shortage {
 public:
  using clock = std::chrono::steady_clock;

  /// A connection could not be opened. Returns true if the caller has to log it: the shortage has just begun,
  /// and the last log line about a beginning is at least ten seconds old.
  bool begins(clock::time_point now) {
    if (on_.load(relaxed)) return false;
    auto last = said_at_.load(relaxed);
    const auto next = now.time_since_epoch().count();
    if (last != 0 && clock::duration{next - last} < std::chrono::seconds{10}) return false;
    // If several threads get here at once, only one of them logs it.
    if (!said_at_.compare_exchange_strong(last, next, relaxed)) return false;
    on_.store(true, relaxed);
    return true;
  }
  /// A connection was opened. Returns true if the caller has to log that the shortage is over.
  bool ends() { return on_.load(relaxed) && on_.exchange(false, relaxed); }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;

  std::atomic<bool> on_{false};
  std::atomic<clock::rep> said_at_{0};
};

struct service_health {
  /// The service is shutting down: load balancers should send it no more requests.
  std::atomic<bool> draining{false};
  /// 1 if an upstream can be reached, as far as is known, otherwise 0. It starts at 1, because an upstream
  /// counts as usable until something shows otherwise.
  std::atomic<std::size_t> usable_upstreams{1};
  resource_shortage shortage;

  bool ready() const { return !draining.load() && usable_upstreams.load() > 0; }
};

}  // namespace llm_proxy
