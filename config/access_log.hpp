// Writes one log line per request, which operators search. It never contains a key, the content of a message
// or a query string.
#pragma once

#include "config/log_safe.hpp"

#include <cstdint>
#include <string_view>

namespace spdlog {
class logger;
}

namespace llm_proxy {

enum class log_format : std::uint8_t;

struct access_record {
  std::string_view id;
  std::string_view method;
  std::string_view path;     // without its query
  std::string_view verdict;  // how the request ended, in one word
  std::string_view key;      // the name of the key that was used, never the key itself
  std::string_view model;
  std::string_view detail;
  std::string_view trace_id;  // empty if tracing is off
  int status = 0;
  bool stream = false;
  double ms = 0;
  double first_byte_ms = -1;  // < 0 if there was none
  std::uint64_t chunks = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::int64_t prompt_tokens = -1;  // < 0 if unknown
  std::int64_t completion_tokens = -1;
};

/// Queues one line at INFO. Does nothing before start_logging() and after stop_logging(). Texts are escaped
/// and cut at 200 bytes. May be called on any thread.
void log_access(const access_record& record);

/// From now on this thread's lines are kept until flush_access_log(). This is for a thread that writes many
/// lines at once and then flushes them soon.
void gather_access_log();
/// Queues the lines that this thread has kept.
void flush_access_log();

/// Sets the logger that log_access() writes to; null turns it off. Only logging.cpp calls this, and not while
/// other threads log.
void set_access_logger(spdlog::logger* logger, log_format format);

}  // namespace llm_proxy
