// The limits on requests of the whole service.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace llm_proxy {

/// Which of its key's limits a request counts against.
enum class request_cost : std::uint8_t {
  full,       ///< requests per minute, tokens, and a slot
  slot_only,  ///< only a slot, because the request asks no model for anything
};

struct admission_options {
  std::size_t max_concurrent = 0;              ///< over all keys; 0 = no limit
  std::size_t queue_size = 0;                  ///< requests that may wait, per key
  std::chrono::milliseconds queue_timeout{0};  ///< 0 = they wait without a limit
};

}  // namespace llm_proxy
