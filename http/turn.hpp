// A turn: one I/O handler and everything it set off on its thread. Sockets that were written to are flushed
// once, at the turn's end, so that head, first event and end of an answer leave in one system call.
#pragma once

#include <memory>
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
  bool empty() const { return tasks_.empty(); }
  /// Runs what was scheduled. Tasks may schedule again: that is for the next call.
  void run() {
    tasks_.swap(running_);
    for (auto& task : running_) task->run_turn();
    running_.clear();
  }

 private:
  std::vector<std::shared_ptr<turn_task>> tasks_;
  std::vector<std::shared_ptr<turn_task>> running_;
};

}  // namespace llm_proxy
