// How many bytes the labelled samples of GET /metrics may come to, all families together. Who adds a
// combination of labels takes what its samples can need at most, so that no scrape is ever too large to be
// sent, and no combination that was shown once has to be left out later.
#pragma once

#include <atomic>
#include <cstddef>

namespace llm_proxy {

class scrape_room {
 public:
  /// The largest scrape, and of it what samples without bounded labels are left: the process's, the
  /// upstreams', and the combination of each family that takes in what finds no room.
  static constexpr std::size_t largest_scrape = std::size_t{4} << 20;
  static constexpr std::size_t kept_for_others = std::size_t{128} << 10;

  explicit scrape_room(std::size_t bytes = largest_scrape - kept_for_others) : left_{bytes} {}

  /// Takes `bytes` if at least `kept` bytes are left behind. False: nothing was taken. Any thread.
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
