#include "config/log_queue.hpp"

#include <utility>

namespace llm_proxy {

namespace {

/// The largest text whose memory the queue keeps for reuse. The memory of a longer text is freed.
constexpr std::size_t most_kept = 1024;

}  // namespace

std::size_t log_queue::push(const log_entry& what, std::string_view text) {
  std::size_t dropped = 0;
  bool wake = false;
  {
    const std::lock_guard lock{changing_};
    if (count_ == ring_.size()) {
      dropped = ring_[first_].lines;
      waiting_ -= dropped;
      dropped_ += dropped;
      first_ = (first_ + 1) % ring_.size();
      --count_;
    }
    auto& place = ring_[(first_ + count_) % ring_.size()];
    place.text.assign(text);
    place.lines = what.lines;
    place.whole_lines = what.whole_lines;
    place.time = what.time;
    place.level = what.level;
    ++count_;
    waiting_ += what.lines;
    wake = std::exchange(reader_waits_, false);
  }
  if (wake) filled_.notify_one();
  return dropped;
}

bool log_queue::pop(log_entry& into) {
  if (into.text.capacity() > most_kept) into.text = {};
  std::unique_lock lock{changing_};
  while (count_ == 0 && !closed_) {
    reader_waits_ = true;
    filled_.wait(lock);
  }
  if (count_ == 0) return false;
  std::swap(into, ring_[first_]);
  first_ = (first_ + 1) % ring_.size();
  --count_;
  waiting_ -= into.lines;
  return true;
}

void log_queue::close() {
  const std::lock_guard lock{changing_};
  closed_ = true;
  filled_.notify_one();
}

bool log_queue::empty() const {
  const std::lock_guard lock{changing_};
  return count_ == 0;
}

std::size_t log_queue::lines_waiting() const {
  const std::lock_guard lock{changing_};
  return waiting_;
}

std::size_t log_queue::lines_dropped() const {
  const std::lock_guard lock{changing_};
  return dropped_;
}

}  // namespace llm_proxy
