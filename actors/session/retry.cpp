#include "actors/session/retry.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_pause{200};
constexpr milliseconds longest_pause{5000};

}  // namespace

void retry_budget::earn() {
  // The budget is full most of the time, and then nothing is written. Several threads at once may exceed it
  // by a few requests, which does no harm.
  if (saved_.load(std::memory_order_relaxed) < most) saved_.fetch_add(1, std::memory_order_relaxed);
}

bool retry_budget::spend() {
  auto saved = saved_.load(std::memory_order_relaxed);
  while (saved >= price) {
    if (saved_.compare_exchange_weak(saved, saved - price, std::memory_order_relaxed)) return true;
  }
  return false;
}

std::optional<milliseconds> retry_pause(unsigned attempt, std::optional<milliseconds> retry_after,
                                        std::optional<milliseconds> left, double random) {
  const auto step = std::min<milliseconds>(first_pause * (1L << std::min(attempt - 1, 10U)), longest_pause);
  // The pause is between half a step and a whole one, so that requests that failed together do not come back
  // together.
  auto pause = std::chrono::duration_cast<milliseconds>(step * (0.5 + random / 2));
  if (retry_after) {
    if (*retry_after > longest_pause) return std::nullopt;
    pause = std::max(pause, *retry_after + std::chrono::duration_cast<milliseconds>(first_pause * random));
  }
  if (left && pause >= *left) return std::nullopt;
  return pause;
}

}  // namespace llm_proxy
