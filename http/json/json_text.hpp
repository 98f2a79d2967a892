// Converts JSON strings to bytes and back, and replaces a byte range. A proxy that passes JSON on needs no
// other writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns `text` as a JSON string with its quotes. Accepts any bytes; those that are not valid UTF-8 become
/// U+FFFD.
std::string json_quoted(std::string_view text);

/// Returns the text of a JSON string that is given with its quotes and must be valid. A lone surrogate escape
/// becomes U+FFFD.
std::string json_unescaped(std::string_view quoted);

/// Replaces the bytes [begin, end) of `body` in place, so that a large body is not copied.
void splice(std::string& body, std::size_t begin, std::size_t end, std::string_view replacement);

// The functions below are shared with the scanner.

/// Returns the character that a backslash followed by `c` stands for; NUL if there is no such escape.
char unescaped_character(char c);

/// Writes `code_point` (no surrogate, at most U+10FFFF) as UTF-8 to `out`, which has room for four. Returns
/// its length.
std::size_t encode_utf8(std::uint32_t code_point, char* out);

/// Returns the length of the well-formed UTF-8 sequence of two to four bytes at `p` (RFC 3629 section 4); 0
/// if it is ill-formed, or cut by `end`.
inline std::size_t utf8_sequence(const char* p, const char* end) {
  const auto size = static_cast<std::size_t>(end - p);
  const auto byte = [p](std::size_t i) { return static_cast<unsigned char>(p[i]); };
  const auto continues = [&byte](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto lead = byte(0);
  if (lead < 0xE0) return lead >= 0xC2 && size >= 2 && continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    if (size < 3 || !continues(1) || !continues(2)) return 0;
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead > 0xF4 || size < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  const bool overlong = lead == 0xF0 && byte(1) < 0x90;
  const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || beyond ? 0 : 4;
}

}  // namespace llm_proxy
