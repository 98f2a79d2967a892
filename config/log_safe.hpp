// Makes text from outside safe for a log line or a terminal.
#pragma once

#include <spdlog/common.h>

#include <cstring>
#include <string>
#include <string_view>

namespace llm_proxy {

/// The most bytes that a value from outside may take up in a log line.
inline constexpr std::size_t max_logged_bytes = 200;

/// Returns at most 200 bytes of `value`; a longer one is cut between two characters and then ends in "...".
/// Quotes, backslashes, control bytes, invalid UTF-8 and characters that reverse or break a line on a
/// terminal are escaped.
std::string log_safe(std::string_view value);

/// A value that is cut as log_safe() does it but not yet escaped, for append_…() below.
struct cut_text {
  std::string_view head;
  bool cut;
};
cut_text cut_for_log(std::string_view value);

/// Appends `value` escaped for a text line. With `quotes`, quotes and backslashes are escaped too.
void append_text_escaped(spdlog::memory_buf_t& out, std::string_view value, bool quotes);
/// Appends `value` escaped for the inside of a JSON string. A byte that is not valid UTF-8 is written as
/// \xNN, with the backslash escaped.
void append_json_escaped(spdlog::memory_buf_t& out, std::string_view value);

inline void append(spdlog::memory_buf_t& out, std::string_view text) {
  // The append() of fmt 9 copies byte by byte through a call.
  const auto size = out.size();
  out.resize(size + text.size());
  std::memcpy(out.data() + size, text.data(), text.size());
}

}  // namespace llm_proxy
