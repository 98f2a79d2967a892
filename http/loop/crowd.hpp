// Notices that most of many connections have left for good, so that the memory they needed can be given back.
#pragma once

#include "http/loop/deadlines.hpp"

#include <chrono>
#include <cstddef>

namespace llm_proxy {

class crowd {
 public:
  /// Fewer than this do not count as a crowd.
  static constexpr std::size_t few = 512;
  /// Connections that have been gone for this long are not expected back at once.
  static constexpr auto away_after = std::chrono::seconds{2};

  /// `on_left` is called on the thread of `timers`, once each time that a crowd has halved and this was
  /// away_after ago.
  crowd(deadlines& timers, deadline_call on_left) : left_{timers, on_left} {}

  /// Must be called with the current number of connections whenever that changes.
  void note(std::size_t size) {
    if (size > most_) {
      most_ = size;
    } else if (most_ > few && size <= most_ / 2) {
      most_ = size;
      left_.expires_after(away_after);
    }
  }

 private:
  std::size_t most_ = 0;  // the most at one time since the number last halved
  deadline left_;
};

}  // namespace llm_proxy
