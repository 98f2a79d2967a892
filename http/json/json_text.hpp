// JSON strings to bytes and back, and the replacement of a byte range: all the writing that passing JSON on
// needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

/// `text` as a JSON string, quotes included. Takes any bytes: what is not UTF-8 becomes U+FFFD.
std::string json_quoted(std::string_view text);

/// The text of a JSON string given with its quotes, which must be valid. A lone surrogate escape becomes
/// U+FFFD.
std::string json_unescaped(std::string_view quoted);

/// Replaces the bytes [begin, end) of `body`, where it is: a large one is not copied.
void splice(std::string& body, std::size_t begin, std::size_t end, std::string_view replacement);

// The parts that the scanner shares.

/// What the escape of one letter `c` stands for; NUL: there is no such escape.
char unescaped_character(char c);

/// Writes `code_point` (no surrogate, at most U+10FFFF) as UTF-8 to `out`, which has room for four. Returns
/// its length.
std::size_t encode_utf8(std::uint32_t code_point, char* out);

/// Length of the well-formed UTF-8 sequence of two to four bytes at `p` (RFC 3629 section 4); 0: it is
/// ill-formed, or `end` cuts it.
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
