// Formats the lines of the log: time, level and message.
#pragma once

#include "config/logging.hpp"

#include <spdlog/common.h>

#include <chrono>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Formats lines as text or JSON. It replaces spdlog's pattern_formatter, which cannot escape the message. It
/// is not thread-safe.
class line_formatter {
 public:
  explicit line_formatter(log_format format) : format_{format} {}

  /// Appends a message, which is escaped here.
  void add_message(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                   std::string_view message, spdlog::memory_buf_t& out);
  /// Appends the line of a request. `fields` are escaped already and have the format of this object. Each
  /// begins with its comma or blank.
  void add_request(spdlog::log_clock::time_point time, std::string_view fields, spdlog::memory_buf_t& out);

 private:
  void begin(spdlog::log_clock::time_point time, spdlog::level::level_enum level, spdlog::memory_buf_t& out);
  void append_time(spdlog::log_clock::time_point time, spdlog::memory_buf_t& out);

  log_format format_;
  std::chrono::sys_seconds second_{};
  std::string second_text_ = "1970-01-01T00:00:00.";
};

}  // namespace llm_proxy
