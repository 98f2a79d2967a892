// The entries that wait to be written to the log. spdlog has such a queue too, but it counts dropped entries.
// Here an entry may be many lines, and operators want to know how many lines are missing.
#pragma once

#include <spdlog/common.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct log_entry {
  std::string text;
  std::size_t lines = 0;     ///< how many lines the entry is
  bool whole_lines = false;  ///< `text` is complete lines; otherwise it is one message
  spdlog::log_clock::time_point time;
  spdlog::level::level_enum level = spdlog::level::info;
};

/// Passes entries from any number of threads to the one that writes them. A thread that adds an entry never
/// waits for the writing thread: if the queue is full, the oldest entry is dropped.
class log_queue {
 public:
  explicit log_queue(std::size_t places) : ring_(places) {}

  /// Adds a copy of `text`. Returns how many lines had to be dropped for it.
  std::size_t push(const log_entry& what, std::string_view text);

  /// Waits for an entry and moves it to `into`, whose old memory the queue may reuse. Returns false if the
  /// queue is closed and empty.
  bool pop(log_entry& into);

  /// Closes the queue: pop() no longer waits.
  void close();

  bool empty() const;
  std::size_t lines_waiting() const;
  /// Returns how many lines have been dropped in all.
  std::size_t lines_dropped() const;

 private:
  mutable std::mutex changing_;
  std::condition_variable filled_;
  std::vector<log_entry> ring_;
  std::size_t first_ = 0;  // the oldest entry
  std::size_t count_ = 0;
  std::size_t waiting_ = 0;  // lines
  std::size_t dropped_ = 0;  // lines
  bool reader_waits_ = false;
  bool closed_ = false;
};

}  // namespace llm_proxy
