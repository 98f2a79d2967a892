// How many client connections fit into a limit on open files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace llm_proxy {

/// Below this limit on open files there is hardly room for clients: the log warns of it at the start.
inline constexpr std::uint64_t least_descriptors = 128;

/// Returns how many client connections may be open if `limit` files may be, on `threads` I/O threads. Every
/// request takes two descriptors, one for its client and one for its upstream connection. The result is half
/// of what is left after a reserve for everything else, and at least one. The reserve is 64, or 16 plus 8 per
/// thread if that is more (each thread has two epoll sets, an eventfd and a timer).
inline std::size_t connections_within(std::uint64_t limit, std::size_t threads) {
  const auto reserve = std::max<std::uint64_t>(64, 16 + 8 * static_cast<std::uint64_t>(threads));
  const auto half = limit > reserve ? (limit - reserve) / 2 : 0;
  const auto most = std::numeric_limits<std::size_t>::max();
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(half, 1, most));
}

}  // namespace llm_proxy
