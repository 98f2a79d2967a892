// How many lines of the log never reached whoever reads it, by reason, since the process began.
#pragma once

#include <cstdint>

namespace llm_proxy {

struct log_losses {
  std::uint64_t queue_full = 0;   ///< they came faster than they could be written; the oldest go first
  std::uint64_t disk_full = 0;    ///< there was no room for them
  std::uint64_t reader_gone = 0;  ///< nobody reads the pipe any more
  std::uint64_t write_error = 0;  ///< anything else that the system said
};

/// Any thread.
log_losses lost_log_lines();

/// For logging.cpp. `error`: what write() failed with; 0: the queue was full. Any thread.
void count_lost_log_lines(std::uint64_t lines, int error);

}  // namespace llm_proxy
