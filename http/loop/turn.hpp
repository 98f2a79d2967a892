// A turn: one I/O handler and everything it set off on its thread. Sockets that were written to are flushed
// once, at the turn's end, so that head, first event and end of an answer leave in one system call.
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
  /// How many sockets had something to tell in this turn.
  void note_ready(std::size_t sockets) { lone_ = sockets <= 1; }
  /// Only one had: nothing is won by writing later, together with others.
  bool lone() const { return lone_; }
  /// Runs what was scheduled. Tasks may schedule again: that is for the next call. What is left when one
  /// throws is too.
  void run() {
    if (running_.empty()) tasks_.swap(running_);
    while (next_ < running_.size()) running_[next_++]->run_turn();
    running_.clear();
    next_ = 0;
  }

  /// Bytes of answers that this thread's client sockets have not taken. Each connection tells what it had
  /// told `before` and what it has `now`, when it has written: what is written and sent in one turn is never
  /// in it.
  std::size_t unsent_bytes() const { return unsent_bytes_; }
  void note_unsent(std::size_t before, std::size_t now) { unsent_bytes_ += now - before; }

  /// An empty text that has room: bytes to send live for a turn, and their memory goes from one connection to
  /// the next.
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
  std::size_t next_ = 0;  // of those that run
  std::vector<std::string> spare_;
  std::size_t unsent_bytes_ = 0;
  bool lone_ = false;
};

}  // namespace llm_proxy
