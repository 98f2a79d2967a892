// Counts the lines of the log that never reached its reader, by reason, since the process started.
#pragma once

#include <cstdint>

namespace llm_proxy {

struct log_losses {
  std::uint64_t queue_full = 0;   ///< they came faster than they could be written; the oldest are dropped
  std::uint64_t disk_full = 0;    ///< the disk or the quota was full, or the file too large
  std::uint64_t reader_gone = 0;  ///< the reader has closed the pipe
  std::uint64_t write_error = 0;  ///< any other error of write()
};

/// Returns the counts. May be called on any thread.
log_losses lost_log_lines();

/// Adds lost lines. `error` is the errno of write(), or 0 if the queue was full. Only for the parts of the
/// log itself; may be called on any thread.
void count_lost_log_lines(std::uint64_t lines, int error);

}  // namespace llm_proxy
