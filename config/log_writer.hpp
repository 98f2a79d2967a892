// Writes the log: takes entries from the queue and gives their lines to a descriptor, a batch at a time. Runs
// on a thread of its own, the only one that may have to wait for the log's reader.
#pragma once

#include "config/line_formatter.hpp"
#include "config/log_queue.hpp"

#include <spdlog/common.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

class log_writer {
 public:
  /// `fd` stays open for as long as this lives.
  log_writer(int fd, log_format format, std::shared_ptr<log_queue> queue);

  /// Writes until the queue is closed and empty.
  void run();
  /// From now on it does not rest between batches. Any thread.
  void hurry() { hurry_ = true; }
  /// Lines that would be lost if it wrote nothing more: those that wait, and those whose loss it could not
  /// tell. Any thread.
  std::size_t lines_at_risk() const;

 private:
  void append(const log_entry& entry);
  void rest() const;
  void write_batch();
  int report_losses();
  int write_all(std::string_view& rest);
  void lose(std::size_t lines, int error);

  const int fd_;
  line_formatter lines_;
  const std::shared_ptr<log_queue> queue_;
  // To the descriptor itself: the lock of a FILE held by a blocked writer would block exit().
  spdlog::memory_buf_t batch_;
  std::atomic<std::size_t> batch_lines_ = 0;
  std::atomic<std::size_t> unwritten_ = 0;  // lines that the descriptor did not take
  // Lines whose loss the log itself has told.
  std::atomic<std::size_t> reported_dropped_ = 0;
  std::atomic<std::size_t> reported_unwritten_ = 0;
  std::string why_unwritten_;
  bool failing_ = false;  // the last write failed, and stderr was told
  bool torn_ = false;     // what the descriptor took last ended inside a line
  std::atomic<bool> hurry_ = false;
};

/// A line of ours on stderr. Does not wait where stderr is the same stuck pipe: then it is not written.
void say_on_stderr(const std::string& line);

}  // namespace llm_proxy
