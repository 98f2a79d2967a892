// How many bytes the labelled samples of GET /metrics may have, all families together. Adding a combination
// of labels takes the largest size that its samples can reach. So no scrape is ever too large to be sent, and
// a combination that was shown once never has to be left out later.
#pragma once

#include <atomic>
#include <cstddef>

namespace llm_proxy {

class scrape_room {
 public:
  /// The largest scrape in bytes, and the part of it that is reserved for samples that take no room: those of
  /// the process, those of the upstreams, and in each family the combination that counts everything else.
  static constexpr std::size_t largest_scrape = std::size_t{4} << 20;
  static constexpr std::size_t kept_for_others = std::size_t{128} << 10;

  explicit scrape_room(std::size_t bytes = largest_scrape - kept_for_others) : left_{bytes} {}

  /// Takes `bytes` if at least `kept` bytes remain afterwards. Returns false if nothing was taken.
  /// Thread-safe.
  bool take(std::size_t bytes, std::size_t kept = 0) {
    auto left = left_.load(std::memory_order_relaxed);
    while (left >= bytes && left - bytes >= kept) {
      if (left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  void give_back(std::size_t bytes) { left_.fetch_add(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> left_;
};

}  // namespace llm_proxy
