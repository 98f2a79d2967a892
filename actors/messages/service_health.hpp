// What the whole service knows of its own state: shared by all threads, read by GET /health/ready.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

namespace llm_proxy {

/// Whether this machine has run out of what a connection to upstream takes. Kept for the log, which is to say
/// once when that begins and once when it ends, however many requests notice it. Thread-safe.
class resource_shortage {
 public:
  using clock = std::chrono::steady_clock;

  /// A connection could not be opened. True if the log is to say so: it has begun, and the last time that was
  /// said is more than ten seconds ago.
  bool begins(clock::time_point now) {
    if (on_.load(relaxed)) return false;
    auto last = said_at_.load(relaxed);
    const auto next = now.time_since_epoch().count();
    if (last != 0 && clock::duration{next - last} < std::chrono::seconds{10}) return false;
    // Of several threads one says it.
    if (!said_at_.compare_exchange_strong(last, next, relaxed)) return false;
    on_.store(true, relaxed);
    return true;
  }
  /// A connection was opened. True if the log is to say that it works again.
  bool ends() { return on_.load(relaxed) && on_.exchange(false, relaxed); }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;

  std::atomic<bool> on_{false};
  std::atomic<clock::rep> said_at_{0};
};

struct service_health {
  /// It has been told to end: no balancer should send it more.
  std::atomic<bool> draining{false};
  /// Upstreams that can be reached, as far as is known: usable until something says otherwise.
  std::atomic<std::size_t> usable_upstreams{1};
  resource_shortage shortage;

  bool ready() const { return !draining.load() && usable_upstreams.load() > 0; }
};

}  // namespace llm_proxy
