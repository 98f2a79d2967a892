// A turn is one run of an I/O thread's handlers and everything that they caused. Sockets that were written to
// are flushed once, at the end of the turn, so that the head, the first event and the end of an answer leave
// in one system call.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

class turn_task {
 public:
  virtual void run_turn() = 0;

 protected:
  ~turn_task() = default;
};

/// One per I/O thread; not thread-safe. Whoever runs the io_context calls run() after each handler.
class turn {
 public:
  void later(std::shared_ptr<turn_task> task) { tasks_.push_back(std::move(task)); }
  bool empty() const { return tasks_.empty() && running_.empty(); }
  /// Sets how many sockets were ready in this turn.
  void note_ready(std::size_t sockets) { lone_ = sockets <= 1; }
  /// Whether only one was: then nothing is gained by writing later, together with others.
  bool lone() const { return lone_; }
  /// Runs the tasks that were scheduled. A task that is scheduled meanwhile runs with the next call, and so
  /// do those that are left when one throws.
  void run() {
    if (running_.empty()) tasks_.swap(running_);
    while (next_ < running_.size()) running_[next_++]->run_turn();
    running_.clear();
    next_ = 0;
  }

  /// Counts the bytes of answers that this thread's client sockets have not taken. Each connection reports
  /// after it has written: the number it reported `before`, and the number `now`. Bytes that are written and
  /// sent in one turn are therefore never counted.
  std::size_t unsent_bytes() const { return unsent_bytes_; }
  void note_unsent(std::size_t before, std::size_t now) { unsent_bytes_ += now - before; }

  /// Returns an empty text, with capacity if one was given back. Bytes to send live for one turn, so their
  /// memory is passed from one connection to the next.
  std::string borrow() {
    if (spare_.empty()) return {};
    auto text = std::move(spare_.back());
    spare_.pop_back();
    return text;
  }
  void give_back(std::string&& text) {
    std::string taken;
    taken.swap(text);
    if (taken.capacity() < least_spare || taken.capacity() > largest_spare || spare_.size() >= most_spare)
      return;
    taken.clear();
    spare_.push_back(std::move(taken));
  }

 private:
  static constexpr std::size_t least_spare = 64;
  static constexpr std::size_t largest_spare = 64 * 1024;
  static constexpr std::size_t most_spare = 32;

  std::vector<std::shared_ptr<turn_task>> tasks_;
  std::vector<std::shared_ptr<turn_task>> running_;
  std::size_t next_ = 0;  // index in running_
  std::vector<std::string> spare_;
  std::size_t unsent_bytes_ = 0;
  bool lone_ = false;
};

}  // namespace llm_proxy
