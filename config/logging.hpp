// The process's log: spdlog in front of a bounded queue and one writing thread, so that a slow or blocked
// reader of stdout costs log lines, never time on an I/O thread. Lines that are lost are counted
// (log_losses.hpp) and told in the log once it can be written again.
#pragma once

#include "config/settings.hpp"

#include <cstdint>

namespace llm_proxy {

enum class log_format : std::uint8_t { text, json };

/// From now on spdlog's free functions and log_access() write to stdout: text on a terminal, else one JSON
/// object per line. Call it before the threads start that log.
void start_logging(const settings& values);
void start_logging(const settings& values, int fd, log_format format);

/// From now on lines of this level and above are written, those of log_access() too. Not while
/// start_logging() or stop_logging() runs.
void set_log_level(log_level level);

/// Writes what is queued (for up to 2 s, should the reader be stuck) and says how many lines were lost. Call
/// it when the threads that log have ended; what is logged later is dropped. Safe without start_logging() and
/// twice.
void stop_logging();

}  // namespace llm_proxy
