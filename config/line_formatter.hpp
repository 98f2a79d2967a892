// The frame of every log line: time, level, and what it says.
#pragma once

#include "config/logging.hpp"

#include <spdlog/common.h>

#include <chrono>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Text and JSON lines alike. Not spdlog's pattern_formatter: that one can't escape the message. Not
/// thread-safe.
class line_formatter {
 public:
  explicit line_formatter(log_format format) : format_{format} {}

  /// A message: it is escaped.
  void add_message(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                   std::string_view message, spdlog::memory_buf_t& out);
  /// A request: `fields` are escaped already and of this format, each with the comma or blank before it.
  void add_request(spdlog::log_clock::time_point time, std::string_view fields, spdlog::memory_buf_t& out);

 private:
  void begin(spdlog::log_clock::time_point time, spdlog::level::level_enum level, spdlog::memory_buf_t& out);
  void append_time(spdlog::log_clock::time_point time, spdlog::memory_buf_t& out);

  log_format format_;
  std::chrono::sys_seconds second_{};
  std::string second_text_ = "1970-01-01T00:00:00.";
};

}  // namespace llm_proxy
