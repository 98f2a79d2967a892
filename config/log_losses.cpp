#include "config/log_losses.hpp"

#include <atomic>
#include <cerrno>

namespace llm_proxy {

namespace {

struct counters {
  std::atomic<std::uint64_t> queue_full{0};
  std::atomic<std::uint64_t> disk_full{0};
  std::atomic<std::uint64_t> reader_gone{0};
  std::atomic<std::uint64_t> write_error{0};
};
constinit counters lost;

std::atomic<std::uint64_t>& counter_of(int error) {
  switch (error) {
    case 0:
      return lost.queue_full;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return lost.disk_full;
    case EPIPE:
      return lost.reader_gone;
    default:
      return lost.write_error;
  }
}

}  // namespace

log_losses lost_log_lines() {
  return {lost.queue_full.load(), lost.disk_full.load(), lost.reader_gone.load(), lost.write_error.load()};
}

void count_lost_log_lines(std::uint64_t lines, int error) {
  counter_of(error).fetch_add(lines, std::memory_order_relaxed);
}

}  // namespace llm_proxy
