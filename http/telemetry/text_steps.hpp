// Work that is done in small steps, such as writing a text that would take too long for one turn of an I/O
// thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <utility>

namespace llm_proxy {

class text_steps {
 public:
  /// Does a part of its work, which takes microseconds. It is called again until it returns true, which means
  /// that all of its work is done.
  using step = std::function<bool()>;

  void add(step next) { left_.push_back(std::move(next)); }
  /// Adds a step that is done in one call.
  void add_once(std::function<void()> part) {
    left_.push_back([part = std::move(part)] {
      part();
      return true;
    });
  }

  /// Continues in the order in which the steps were added, for about the time `most`. Returns true if no step
  /// is left.
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
