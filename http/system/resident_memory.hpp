// How much memory the process has, for MAX_MEMORY looked at only now and then, and giving it back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace llm_proxy {

/// Bytes in memory (RSS) by /proc/self/statm; nullopt if it cannot be read: without /proc, or without a free
/// descriptor. `statm`: for tests.
std::optional<std::size_t> resident_bytes(const char* statm = "/proc/self/statm");

/// Gives what was freed back to the system: glibc keeps it, and the calling thread's block_cache.
void return_free_memory();

/// Shared by all threads.
class memory_ceiling {
 public:
  /// `ceiling` in bytes; 0: off.
  explicit memory_ceiling(std::size_t ceiling) : ceiling_{ceiling} {}

  /// Whether the process is above the ceiling, as of at most 100 ms ago. Above it freed memory is given back
  /// to the system first, at most once a second. While it cannot be known it is as it was last.
  bool exceeded() { return ceiling_ != 0 && look(); }

 private:
  bool look();

  const std::size_t ceiling_;
  std::atomic<std::int64_t> next_look_{0};  // milliseconds of the steady clock
  std::atomic<std::int64_t> next_trim_{0};
  std::atomic<bool> above_{false};
};

}  // namespace llm_proxy
