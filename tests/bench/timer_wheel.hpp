#pragma once

#include "upstream_connection.hpp"
#include "wire.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

/// Connections in the order of the times at which they want to send. There is one slot per tick; a longer
/// wait goes round more than once.
class timer_wheel {
 public:
  explicit timer_wheel(uint64_t tick_ns) : tick_(tick_ns), done_(monotonic_ns() / tick_ns) {}

  void add(connection& c) {
    const uint64_t tick = std::clamp(c.due / tick_ + 1, done_ + 1, done_ + slots - 1);
    const size_t at = tick % slots;
    c.slot = static_cast<int64_t>(at);
    c.previous = nullptr;
    c.next = heads_[at];
    if (c.next != nullptr) c.next->previous = &c;
    heads_[at] = &c;
    used_[at / 64] |= uint64_t{1} << (at % 64);
  }

  void remove(connection& c) {
    if (c.slot < 0) return;
    const auto at = static_cast<size_t>(c.slot);
    if (c.next != nullptr) c.next->previous = c.previous;
    (c.previous != nullptr ? c.previous->next : heads_[at]) = c.next;
    if (heads_[at] == nullptr) used_[at / 64] &= ~(uint64_t{1} << (at % 64));
    c.slot = -1;
    c.next = c.previous = nullptr;
  }

  /// Removes and returns a connection that is due; null if none is.
  connection* take(uint64_t now) {
    while (done_ < now / tick_) {
      connection*& head = heads_[(done_ + 1) % slots];
      while (head != nullptr) {
        connection& c = *head;
        remove(c);
        if (c.due <= now) return &c;
        add_later(c);
      }
      ++done_;
      if (!used_[((done_ + 1) % slots) / 64]) skip_empty(now / tick_);
    }
    return nullptr;
  }

  /// Returns the time of the next slot that is not empty; 0 if all are empty.
  uint64_t next() const {
    for (size_t i = 1; i < slots; ++i) {
      const size_t at = (done_ + i) % slots;
      const uint64_t rest = used_[at / 64] >> (at % 64);
      if (rest != 0) return (done_ + i + static_cast<size_t>(std::countr_zero(rest))) * tick_;
      i += 63 - at % 64;
    }
    return 0;
  }

 private:
  static constexpr size_t slots = 16384;

  void add_later(connection& c) {
    ++done_;  // so that the slot that is being emptied is not used
    add(c);
    --done_;
  }
  void skip_empty(uint64_t until) {
    while (done_ + 64 < until && !used_[((done_ + 1) % slots) / 64]) done_ += 64 - (done_ + 1) % 64;
  }

  uint64_t tick_;
  uint64_t done_;  // all slots up to this tick are empty
  std::array<connection*, slots> heads_{};
  std::array<uint64_t, slots / 64> used_{};
};

}  // namespace bench
