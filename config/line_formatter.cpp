#include "config/line_formatter.hpp"

#include "config/log_safe.hpp"

#include <array>
#include <ctime>

namespace llm_proxy {

void line_formatter::add_message(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                                 std::string_view message, spdlog::memory_buf_t& out) {
  begin(time, level, out);
  if (format_ == log_format::json) {
    append_json_escaped(out, message);
    append(out, "\"}");
  } else {
    append_text_escaped(out, message, false);
  }
  out.push_back('\n');
}

void line_formatter::add_request(spdlog::log_clock::time_point time, std::string_view fields,
                                 spdlog::memory_buf_t& out) {
  begin(time, spdlog::level::info, out);
  const bool json = format_ == log_format::json;
  if (json) append(out, R"(request")");
  append(out, json ? fields : fields.substr(1));
  if (json) out.push_back('}');
  out.push_back('\n');
}

void line_formatter::begin(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                           spdlog::memory_buf_t& out) {
  const auto spdlog_name = spdlog::level::to_string_view(level);
  const std::string_view name{spdlog_name.data(), spdlog_name.size()};
  if (format_ == log_format::json) {
    append(out, R"({"time":")");
    append_time(time, out);
    append(out, R"(","level":")");
    append(out, name);
    append(out, R"(","msg":")");
  } else {
    append_time(time, out);
    out.push_back(' ');
    append(out, name);
    append(out, std::string_view{"         "}.substr(name.size()));  // "critical" has 8
  }
}

/// 2025-01-31T23:59:59.123Z
void line_formatter::append_time(spdlog::log_clock::time_point time, spdlog::memory_buf_t& out) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  if (second != second_) {
    second_ = second;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(second);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    second_text_.assign(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts));
  }
  const auto ms =
      static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time - second).count());
  append(out, second_text_);
  for (const int digit : {ms / 100, ms / 10 % 10, ms % 10}) out.push_back(static_cast<char>('0' + digit));
  out.push_back('Z');
}

}  // namespace llm_proxy
