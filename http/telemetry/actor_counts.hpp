// How many actors there are, for metrics. The numbers change when actors start and end, which is not on the
// path of a request.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace llm_proxy {

struct actor_counts {
  std::atomic<std::size_t> pools{0};
  std::atomic<std::size_t> adapters{0};    ///< including those of a replaced pool that still serve
  std::atomic<std::uint64_t> replaced{0};  ///< actors that died and were replaced
};

}  // namespace llm_proxy
