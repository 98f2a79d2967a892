#include "http/json/json_text.hpp"

#include "http/text/text.hpp"

#include <algorithm>

namespace llm_proxy {

char unescaped_character(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

std::size_t encode_utf8(std::uint32_t code_point, char* out) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  if (code_point < 0x80) {
    out[0] = byte(code_point);
    return 1;
  }
  if (code_point < 0x800) {
    out[0] = byte(0xC0 | code_point >> 6);
    out[1] = byte(0x80 | (code_point & 0x3F));
    return 2;
  }
  if (code_point < 0x10000) {
    out[0] = byte(0xE0 | code_point >> 12);
    out[1] = byte(0x80 | (code_point >> 6 & 0x3F));
    out[2] = byte(0x80 | (code_point & 0x3F));
    return 3;
  }
  out[0] = byte(0xF0 | code_point >> 18);
  out[1] = byte(0x80 | (code_point >> 12 & 0x3F));
  out[2] = byte(0x80 | (code_point >> 6 & 0x3F));
  out[3] = byte(0x80 | (code_point & 0x3F));
  return 4;
}

std::string json_quoted(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string quoted;
  quoted.reserve(text.size() + 2);
  quoted += '"';
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    const auto byte = static_cast<unsigned char>(*p);
    if (byte >= 0x80) {
      const auto size = utf8_sequence(p, end);
      quoted.append(size != 0 ? std::string_view{p, size} : "\xEF\xBF\xBD");
      p += size != 0 ? size : 1;
      continue;
    }
    ++p;
    switch (byte) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      case '\t':
        quoted += "\\t";
        break;
      default:
        if (byte < 0x20) {
          quoted += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 0xF]};
        } else {
          quoted += static_cast<char>(byte);
        }
    }
  }
  quoted += '"';
  return quoted;
}

std::string json_unescaped(std::string_view quoted) {
  if (quoted.size() < 2) return {};
  std::string_view rest = quoted.substr(1, quoted.size() - 2);
  const auto is_unit = [&rest] { return rest.size() >= 6 && rest[0] == '\\' && rest[1] == 'u'; };
  const auto take_unit = [&rest] {
    std::uint32_t unit = 0;
    for (const char digit : rest.substr(2, 4))
      unit = unit << 4 | static_cast<std::uint32_t>(hex_digit(digit));
    rest.remove_prefix(6);
    return unit;
  };
  std::string text;
  text.reserve(rest.size());
  while (!rest.empty()) {
    const auto plain = std::min(rest.find('\\'), rest.size());
    text.append(rest.substr(0, plain));
    rest.remove_prefix(plain);
    if (is_unit()) {
      std::uint32_t code_point = take_unit();
      if (code_point >= 0xD800 && code_point <= 0xDBFF && is_unit()) {
        const auto after_high = rest;
        const auto low = take_unit();
        if (low >= 0xDC00 && low <= 0xDFFF) {
          code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
        } else {
          rest = after_high;
        }
      }
      if (code_point >= 0xD800 && code_point <= 0xDFFF) code_point = 0xFFFD;
      char bytes[4];
      text.append(bytes, encode_utf8(code_point, bytes));
    } else if (rest.size() >= 2) {
      text += unescaped_character(rest[1]);
      rest.remove_prefix(2);
    } else {
      break;
    }
  }
  return text;
}

void splice(std::string& body, std::size_t begin, std::size_t end, std::string_view replacement) {
  body.replace(begin, end - begin, replacement);
}

}  // namespace llm_proxy
