// Work that is done a little at a time: a text that is too long for one turn of an I/O thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <utility>

namespace llm_proxy {

class text_steps {
 public:
  /// Does a part of its work that takes microseconds; called again until it returns true, which is when all
  /// of it is done.
  using step = std::function<bool()>;

  void add(step next) { left_.push_back(std::move(next)); }
  /// A part that is done in one go.
  void add_once(std::function<void()> part) {
    left_.push_back([part = std::move(part)] {
      part();
      return true;
    });
  }

  /// Goes on in the order in which steps were added, until `most` is over. True: nothing is left.
  bool run(std::chrono::steady_clock::duration most) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!left_.empty()) {
      if (left_.front()()) left_.pop_front();
      if (std::chrono::steady_clock::now() >= end) break;
    }
    return left_.empty();
  }

 private:
  std::deque<step> left_;
};

}  // namespace llm_proxy
