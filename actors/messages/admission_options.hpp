// The limits on requests of the whole service.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace llm_proxy {

/// What a request takes of its key's limits.
enum class request_cost : std::uint8_t {
  full,       ///< one of the requests per minute, tokens, and a slot
  slot_only,  ///< a slot: it asks no model for anything
};

struct admission_options {
  std::size_t max_concurrent = 0;              ///< over all keys; 0 = no limit
  std::size_t queue_size = 0;                  ///< requests that may wait, per key
  std::chrono::milliseconds queue_timeout{0};  ///< 0 = they wait as long as it takes
};

}  // namespace llm_proxy
