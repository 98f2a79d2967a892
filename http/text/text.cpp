#include "http/text/text.hpp"

namespace llm_proxy {

std::string_view trimmed(std::string_view text) {
  // Every header line passes here: find_first_not_of() would call memchr for each byte.
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool has_room = text[i] == '%' && i + 2 < text.size();
    const int high = has_room ? hex_digit(text[i + 1]) : -1;
    const int low = has_room ? hex_digit(text[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace llm_proxy
