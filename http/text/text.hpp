// Functions for ASCII text: they classify bytes, compare without letter case, and read numbers and escapes.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace llm_proxy {

namespace detail {

inline constexpr auto lower_case = [] {
  std::array<char, 256> table{};
  for (int i = 0; i < 256; ++i)
    table[static_cast<std::size_t>(i)] = static_cast<char>(i >= 'A' && i <= 'Z' ? i + 32 : i);
  return table;
}();

}  // namespace detail

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Returns the value of a hexadecimal digit of any letter case, or -1 for any other character.
constexpr int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Whether `text` has a byte that no header line may hold (RFC 9110 §5.5): a control byte other than the tab.
inline bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

/// Compares two texts without regard to the case of ASCII letters (RFC 9110 §5.1: field names are
/// case-insensitive).
inline bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto same = [](char x, char y) {
    return detail::lower_case[static_cast<unsigned char>(x)] ==
           detail::lower_case[static_cast<unsigned char>(y)];
  };
  if (a.empty()) return true;
  if (!same(a.front(), b.front())) return false;  // most comparisons end here
  return std::memcmp(a.data(), b.data(), a.size()) == 0 || std::equal(a.begin(), a.end(), b.begin(), same);
}
inline bool istarts_with(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && iequals(text.substr(0, prefix.size()), prefix);
}

/// Returns `text` without the blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);

/// Reads `text` as one number. Returns nullopt if it is anything else, or too large for the type. A minus
/// sign is accepted for signed types only, a plus sign never.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  return fault == std::errc{} && end == text.data() + text.size() ? std::optional{number} : std::nullopt;
}

/// Returns the bytes that the percent-encoded `text` stands for (RFC 3986 §2.1). Text that is not an escape
/// is unchanged.
std::string percent_decoded(std::string_view text);

}  // namespace llm_proxy
