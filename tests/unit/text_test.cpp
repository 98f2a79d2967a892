#include "http/text/text.hpp"

#include "http/text/redact.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <string>

namespace llm_proxy {

TEST_CASE("text: a number is read only if it is the whole text", "[unit][text]") {
  CHECK(parse_number<int>("12") == 12);
  CHECK(parse_number<int>("-12") == -12);
  CHECK(parse_number<double>("1.5e1") == 15);
  CHECK(parse_number<std::uint16_t>("65535") == 65535);
  for (const char* bad : {"", " 1", "1 ", "+1", "1x", "x", "0x1", "1.5"}) {
    INFO(bad);
    CHECK_FALSE(parse_number<int>(bad));
  }
  CHECK_FALSE(parse_number<std::uint16_t>("65536"));
  CHECK_FALSE(parse_number<std::uint64_t>("-1"));
}

TEST_CASE("text: escapes are decoded, and everything else stays", "[unit][text]") {
  CHECK(percent_decoded("a%2Fb%2fc") == "a/b/c");
  CHECK(percent_decoded("%41") == "A");
  CHECK(percent_decoded("100%") == "100%");
  CHECK(percent_decoded("%4") == "%4");
  CHECK(percent_decoded("%zz%4") == "%zz%4");
  CHECK(percent_decoded("%00") == std::string(1, '\0'));
  CHECK(percent_decoded("").empty());
}

TEST_CASE("text: letter case, blanks and control bytes", "[unit][text]") {
  CHECK(iequals("Content-Type", "content-tYPE"));
  CHECK_FALSE(iequals("a", "b"));
  CHECK_FALSE(iequals("a", "ab"));
  CHECK(istarts_with("X-Codex-Turn", "x-codex-"));
  CHECK_FALSE(istarts_with("x", "x-"));
  CHECK(trimmed(" \ta b\t ") == "a b");
  CHECK(trimmed(" \t ").empty());
  CHECK_FALSE(has_control("tab\tand text"));
  for (const char c : {'\0', '\n', '\r', '\x1b', '\x7f'}) CHECK(has_control(std::string(1, c)));
  CHECK(hex_digit('f') == 15);
  CHECK(hex_digit('G') == -1);
}

TEST_CASE("redact: a secret is removed wherever it stands", "[unit][text]") {
  const auto redacted = [](std::string text, std::string_view secret) {
    redact(text, secret);
    return text;
  };
  CHECK(redacted("key sk-1, again sk-1", "sk-1") == "key ***, again ***");
  CHECK(redacted("sk-1sk-1", "sk-1") == "******");
  CHECK(redacted("nothing here", "sk-1") == "nothing here");
  CHECK(redacted("nothing here", "") == "nothing here");
  CHECK(redacted("*", "*") == "***");
}

}  // namespace llm_proxy
