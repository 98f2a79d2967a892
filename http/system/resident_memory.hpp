// Measures the memory of the process, for MAX_MEMORY only now and then, and gives freed memory back to the
// system.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace llm_proxy {

/// Returns the bytes of the process in memory (RSS) by /proc/self/statm. Returns nullopt if that cannot be
/// read, because there is no /proc or no free descriptor. `statm` is for tests.
std::optional<std::size_t> resident_bytes(const char* statm = "/proc/self/statm");

/// Gives freed memory that glibc and the calling thread's block_cache keep back to the system.
void return_free_memory();

/// Shared by all threads.
class memory_ceiling {
 public:
  /// `ceiling` in bytes; 0 = off.
  explicit memory_ceiling(std::size_t ceiling) : ceiling_{ceiling} {}

  /// Whether the process was above the ceiling when it was last measured, at most 100 ms ago. If it is above,
  /// freed memory is first given back to the system, at most once a second, and the process is measured
  /// again. If it cannot be measured, the last result stands.
  bool exceeded() { return ceiling_ != 0 && look(); }

 private:
  bool look();

  const std::size_t ceiling_;
  std::atomic<std::int64_t> next_look_{0};  // milliseconds of the steady clock
  std::atomic<std::int64_t> next_trim_{0};
  std::atomic<bool> above_{false};
};

}  // namespace llm_proxy
