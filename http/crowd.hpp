// Notices when most of many have left, some time later: when what they needed is worth giving back.
#pragma once

#include "http/deadlines.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>

namespace llm_proxy {

class crowd {
 public:
  /// As few as these are no crowd.
  static constexpr std::size_t few = 512;
  /// No return is waited for longer than this.
  static constexpr auto away_after = std::chrono::seconds{2};

  /// `on_left` is called on the thread of `timers`, once each time a crowd has halved and its last leaver is
  /// away_after gone.
  crowd(deadlines& timers, std::function<void()> on_left) : left_{timers, std::move(on_left)} {}

  /// How many there are now.
  void note(std::size_t size) {
    if (size > most_) {
      most_ = size;
    } else if (most_ > few && size <= most_ / 2) {
      most_ = size;
      left_.expires_after(away_after);
    }
  }

 private:
  std::size_t most_ = 0;  // at one time, since it last halved
  deadline left_;
};

}  // namespace llm_proxy
