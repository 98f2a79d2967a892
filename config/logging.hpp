// The log of the process: spdlog, then a bounded queue and one writing thread. So a slow or blocked reader of
// stdout costs log lines but never time on an I/O thread. Lost lines are counted (log_losses.hpp), and
// reported in the log as soon as it can be written again.
#pragma once

#include "config/settings.hpp"

#include <cstdint>

namespace llm_proxy {

enum class log_format : std::uint8_t { text, json };

/// From now on spdlog's free functions and log_access() write to stdout: text on a terminal, otherwise one
/// JSON object per line. It must be called before the threads that log are started.
void start_logging(const settings& values);
void start_logging(const settings& values, int fd, log_format format);

/// From now on only lines of this level and above are written, including those of log_access(). It must not
/// be called while start_logging() or stop_logging() runs.
void set_log_level(log_level level);

/// Writes the queued lines, and reports how many were lost if the reader is still stuck after 2 s. It must be
/// called when the threads that log have ended; later lines are dropped. It may be called twice or without
/// start_logging().
void stop_logging();

}  // namespace llm_proxy
