// When a request may be tried again (LLM_PROXY__RETRIES), and after how long.
//
// LiteLLM has retries of its own, over the deployments that it knows; they stay as its operator set them
// (`x-litellm-num-retries: 0` would outrank his retry_policy). These here are for what a gateway's own
// trouble costs, and the budget keeps both from multiplying.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace llm_proxy {

/// What all threads may spend on retries: a tenth of the requests, and a few to begin with. Thread-safe.
class retry_budget {
 public:
  /// A request has begun.
  void earn();
  /// Takes one retry; false: there is none left.
  bool spend();

 private:
  static constexpr std::int64_t price = 10;  // requests a retry costs
  static constexpr std::int64_t most = 100;  // requests that count: a burst of 10 retries
  std::atomic<std::int64_t> saved_{most};
};

/// The pause before the retry number `attempt` (from 1): it doubles from try to try, `random` (0 to 1)
/// spreads it, and it is at least `retry_after`. nullopt: no retry, since upstream asks for more than a few
/// seconds, or for more than is `left` of the request's time.
std::optional<std::chrono::milliseconds> retry_pause(unsigned attempt,
                                                     std::optional<std::chrono::milliseconds> retry_after,
                                                     std::optional<std::chrono::milliseconds> left,
                                                     double random);

}  // namespace llm_proxy
