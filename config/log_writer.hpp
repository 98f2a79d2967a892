// Writes the log: takes entries from the queue and writes their lines to a descriptor, in batches. It runs on
// its own thread, the only one that may have to wait for the log's reader.
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
  /// `fd` must stay open for as long as this object lives.
  log_writer(int fd, log_format format, std::shared_ptr<log_queue> queue);

  /// Writes until the queue is closed and empty.
  void run();
  /// From now on it does not pause between batches. May be called on any thread.
  void hurry() { hurry_ = true; }
  /// Returns how many lines would be lost if it wrote nothing more: those that wait, and lost ones that the
  /// log has not yet reported. May be called on any thread.
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
  // Batches are written to the descriptor itself: a blocked writer would hold the lock of a FILE, and exit()
  // would wait for it.
  spdlog::memory_buf_t batch_;
  std::atomic<std::size_t> batch_lines_ = 0;
  std::atomic<std::size_t> unwritten_ = 0;  // lines that could not be written
  // Lost lines that the log itself has reported.
  std::atomic<std::size_t> reported_dropped_ = 0;
  std::atomic<std::size_t> reported_unwritten_ = 0;
  std::string why_unwritten_;
  bool failing_ = false;  // the last write failed, and that was said on stderr
  bool torn_ = false;     // the last write ended inside a line
  std::atomic<bool> hurry_ = false;
};

/// Writes a line to stderr. It does not wait: if stderr is a full pipe, the line is not written.
void say_on_stderr(const std::string& line);

}  // namespace llm_proxy
