#include "config/log_safe.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace llm_proxy {
namespace {

constexpr std::string_view hex = "0123456789abcdef";

struct character {
  std::uint32_t code = 0;
  std::size_t size = 1;
  bool valid = false;
};

/// Returns the UTF-8 character at the front of a non-empty `text` (RFC 3629: no surrogates, no overlong
/// forms).
character decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t size = lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : 2U;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3fU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size, true};
}

/// Returns whether the character is a C1 control, a line or paragraph separator, or a mark that reverses the
/// text on a terminal.
bool misleads_terminal(std::uint32_t code) {
  return (code >= 0x80 && code <= 0x9f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

void append_byte(spdlog::memory_buf_t& out, std::string_view prefix, unsigned byte) {
  append(out, prefix);
  out.push_back(hex[byte >> 4]);
  out.push_back(hex[byte & 15]);
}

void append_u(spdlog::memory_buf_t& out, std::uint32_t code) {
  append_byte(out, "\\u", code >> 8);
  append_byte(out, "", code & 0xff);
}

constexpr auto plain_characters = [] {
  std::array<bool, 256> table{};
  for (char c = ' '; c < 0x7f; ++c) table[static_cast<std::size_t>(c)] = c != '"' && c != '\\';
  return table;
}();

bool is_plain(char c) {
  return plain_characters[static_cast<unsigned char>(c)];
}

/// Copies runs of plain ASCII, and passes every other character to `escape(c, bytes)`.
template <class Escape>
void append_escaped(spdlog::memory_buf_t& out, std::string_view value, Escape escape) {
  while (!value.empty()) {
    std::size_t run = 0;
    while (run < value.size() && is_plain(value[run])) ++run;
    append(out, value.substr(0, run));
    value.remove_prefix(run);
    if (value.empty()) return;
    const character c = decode_utf8(value);
    escape(c, value.substr(0, c.size));
    value.remove_prefix(c.size);
  }
}

}  // namespace

cut_text cut_for_log(std::string_view value) {
  if (value.size() <= max_logged_bytes) return {value, false};
  std::size_t end = max_logged_bytes - 3;  // room for "..."
  for (int back = 0; back < 3 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80; ++back) --end;
  return {value.substr(0, end), true};
}

void append_text_escaped(spdlog::memory_buf_t& out, std::string_view value, bool quotes) {
  append_escaped(out, value, [&](const character& c, std::string_view bytes) {
    if (!c.valid) return append_byte(out, "\\x", static_cast<unsigned char>(bytes[0]));
    if (c.code == '\n') return append(out, "\\n");
    if (c.code == '\r') return append(out, "\\r");
    if (c.code == '\t') return append(out, "\\t");
    if (c.code < ' ' || c.code == 0x7f) return append_byte(out, "\\x", c.code);
    if (misleads_terminal(c.code)) return append_u(out, c.code);
    if (quotes && c.code < 0x80) out.push_back('\\');
    append(out, bytes);
  });
}

void append_json_escaped(spdlog::memory_buf_t& out, std::string_view value) {
  append_escaped(out, value, [&](const character& c, std::string_view bytes) {
    if (!c.valid) return append_byte(out, "\\\\x", static_cast<unsigned char>(bytes[0]));
    if (c.code == '\n') return append(out, "\\n");
    if (c.code == '\r') return append(out, "\\r");
    if (c.code == '\t') return append(out, "\\t");
    if (c.code < ' ' || c.code == 0x7f || misleads_terminal(c.code)) return append_u(out, c.code);
    if (c.code < 0x80) out.push_back('\\');  // quote, backslash
    append(out, bytes);
  });
}

std::string log_safe(std::string_view value) {
  const auto [head, cut] = cut_for_log(value);
  spdlog::memory_buf_t out;
  append_text_escaped(out, head, true);
  if (cut) append(out, "...");
  return {out.data(), out.size()};
}

}  // namespace llm_proxy
