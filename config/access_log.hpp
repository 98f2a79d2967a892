// One log line per request: what an operator greps for. Never a key, never message content, never a query
// string.
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
  std::string_view key;      // the name of the key it came with, never the key
  std::string_view model;
  std::string_view detail;
  std::string_view trace_id;  // where tracing is on
  int status = 0;
  bool stream = false;
  double ms = 0;
  double first_byte_ms = -1;  // < 0: there was none
  std::uint64_t chunks = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::int64_t prompt_tokens = -1;  // < 0: not seen
  std::int64_t completion_tokens = -1;
};

/// Queues one line at INFO; nothing happens before start_logging() and after stop_logging(). Texts are
/// escaped and cut at 200 bytes. May be called from any thread.
void log_access(const access_record& record);

/// From now on this thread's lines wait for flush_access_log(): for a thread that has many at once and calls
/// it soon.
void gather_access_log();
/// Queues what this thread has gathered.
void flush_access_log();

/// For logging.cpp: where log_access() writes; null turns it off. Not while other threads log.
void set_access_logger(spdlog::logger* logger, log_format format);

}  // namespace llm_proxy
