// How many actors there are, for metrics. Written where they come and go, which is not in a request's path.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace llm_proxy {

struct actor_counts {
  std::atomic<std::size_t> pools{0};
  std::atomic<std::size_t> adapters{0};    ///< those of a replaced pool that still serve too
  std::atomic<std::uint64_t> replaced{0};  ///< that died
};

}  // namespace llm_proxy
