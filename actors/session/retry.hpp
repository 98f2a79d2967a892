// When a request may be tried again (LLM_PROXY__RETRIES), and after how long.
//
// LiteLLM has retries of its own, over the deployments that it knows. They stay as its operator set them:
// `x-litellm-num-retries: 0` would override the operator's retry_policy. The retries here are for trouble of
// the gateway itself, and the budget keeps the two kinds of retries from multiplying.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace llm_proxy {

/// Limits the retries of all threads together to a tenth of the requests, plus a burst of 10. Thread-safe.
class retry_budget {
 public:
  /// Counts a request that has begun.
  void earn();
  /// Takes one retry from the budget. Returns false if none is left.
  bool spend();

 private:
  static constexpr std::int64_t price = 10;  // a retry costs this many requests
  static constexpr std::int64_t most = 100;  // at most this many requests are saved up: a burst of 10 retries
  std::atomic<std::int64_t> saved_{most};
};

/// Returns the pause before the retry number `attempt` (from 1). It doubles from one retry to the next, up to
/// 5 s, `random` (0 to 1) spreads it, and it is at least `retry_after`. Returns nullopt if the request must
/// not be retried, because upstream asks for more than 5 s or the pause would use up all that is `left` of
/// the request's time.
std::optional<std::chrono::milliseconds> retry_pause(unsigned attempt,
                                                     std::optional<std::chrono::milliseconds> retry_after,
                                                     std::optional<std::chrono::milliseconds> left,
                                                     double random);

}  // namespace llm_proxy
