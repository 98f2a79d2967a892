// What waits to be written to the log. spdlog has such a queue, which counts the entries that it drops; an
// entry may be many lines here, and it is lines that an operator misses.
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
  std::size_t lines = 0;     ///< that it will be
  bool whole_lines = false;  ///< `text` is them already; otherwise it is one message
  spdlog::log_clock::time_point time;
  spdlog::level::level_enum level = spdlog::level::info;
};

/// Entries of any number of threads for the one that writes them. Nobody who adds one waits for that thread:
/// where there is no place left the oldest entry is dropped.
class log_queue {
 public:
  explicit log_queue(std::size_t places) : ring_(places) {}

  /// Adds a copy of `text`; the number of lines that had to be dropped for it.
  std::size_t push(const log_entry& what, std::string_view text);

  /// Waits for an entry and moves it to `into`, whose memory the queue may use again. False: the queue is
  /// closed and empty.
  bool pop(log_entry& into);

  /// pop() does not wait any more.
  void close();

  bool empty() const;
  std::size_t lines_waiting() const;
  /// Lines that were dropped, since it began.
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
