// What the JSON scanner asks about single bytes, and its search for the next byte of a string that needs
// attention.
#pragma once

#include "http/text/text.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace llm_proxy {

inline bool is_space(char c) {
  // The first comparison decides for most bytes.
  return static_cast<unsigned char>(c) <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

inline const char* skip_digits(const char* p, const char* end) {
  while (p != end && is_digit(*p)) ++p;
  return p;
}

/// Whether a byte in a string needs attention: a quote, a backslash, a control byte or part of a non-ASCII
/// character.
inline bool is_special(char c) {
  return c == '"' || c == '\\' || static_cast<signed char>(c) < 0x20;
}

/// Returns the first special byte in [p, end), or `end`.
inline const char* find_special(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // As signed numbers, bytes from 0x80 on are also less than a space.
    const __m128i found =
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#else
  constexpr std::uint64_t ones = 0x0101010101010101U;
  constexpr std::uint64_t highs = ones << 7;
  // Finds a zero byte in a word: https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord
  const auto has_zero = [](std::uint64_t word) { return (word - ones) & ~word & highs; };
  for (; end - p >= 8; p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    const std::uint64_t below_space = (word - ones * 0x20) & ~word & highs;
    if (((word & highs) | below_space | has_zero(word ^ (ones * '"')) | has_zero(word ^ (ones * '\\'))) != 0)
      break;
  }
#endif
  while (p != end && !is_special(*p)) ++p;
  return p;
}

}  // namespace llm_proxy
