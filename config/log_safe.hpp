// Makes text from outside fit for a log line or a terminal.
#pragma once

#include <spdlog/common.h>

#include <cstring>
#include <string>
#include <string_view>

namespace llm_proxy {

/// What a value from outside may take up in a log line.
inline constexpr std::size_t max_logged_bytes = 200;

/// At most 200 bytes of `value`, cut between characters and then ending in "...". Quotes, backslashes,
/// control bytes, what is no UTF-8 and characters that turn or break a line on a terminal are escaped.
std::string log_safe(std::string_view value);

/// `value` cut as log_safe() does, without the escapes: what append_…() below is given.
struct cut_text {
  std::string_view head;
  bool cut;
};
cut_text cut_for_log(std::string_view value);

/// Appends `value` escaped for a text line; with `quotes`, quotes and backslashes too.
void append_text_escaped(spdlog::memory_buf_t& out, std::string_view value, bool quotes);
/// Appends `value` escaped as the inside of a JSON string; a byte that is no UTF-8 shows as \xNN (an escaped
/// backslash).
void append_json_escaped(spdlog::memory_buf_t& out, std::string_view value);

inline void append(spdlog::memory_buf_t& out, std::string_view text) {
  // fmt 9's append() copies byte by byte through a call.
  const auto size = out.size();
  out.resize(size + text.size());
  std::memcpy(out.data() + size, text.data(), text.size());
}

}  // namespace llm_proxy
