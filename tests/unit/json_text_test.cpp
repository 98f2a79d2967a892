// JSON text: strings are quoted and read back, and one level of an object or array is walked.
#include "http/json/json_text.hpp"

#include "http/json/json_scanner.hpp"
#include "http/json/json_walk.hpp"
#include "support/catch.hpp"

#include <string>
#include <string_view>

using namespace llm_proxy;
using namespace std::string_literals;

TEST_CASE("json_quoted: makes valid JSON of any bytes, and json_unescaped reads it back", "[json_text]") {
  CHECK(json_quoted("a\"b\\c\n\r\t\x01\x7F/") == "\"a\\\"b\\\\c\\n\\r\\t\\u0001\x7F/\"");
  CHECK(json_quoted("\xC3\xA9\xFF\xE2\x82") == "\"\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(json_quoted(""s) == "\"\"");
  std::string all;
  for (int byte = 0; byte != 256; ++byte) all += static_cast<char>(byte);
  CHECK(is_valid_json(json_quoted(all)));
  const auto ascii = all.substr(0, 128);
  CHECK(json_unescaped(json_quoted(ascii)) == ascii);
}

TEST_CASE("json_walk: hands out one level's members and elements", "[json_text]") {
  std::string seen;
  const auto note = [&seen](std::string_view key, json_token, std::string_view raw) {
    seen += std::string{key} + "=" + std::string{raw} + ";";
  };
  CHECK(for_each_member(R"({"a" : {"x":[1]} ,"b":"t","a":2})", note));
  CHECK(seen == R"(a={"x":[1]};b="t";a=2;)");
  CHECK_FALSE(for_each_member("[1]", note));
  CHECK_FALSE(for_each_member("", note));
  CHECK_FALSE(for_each_member("{\"a\":1", note));
  seen.clear();
  CHECK(for_each_element(R"([1, [2] ,{"k":[3]}])",
                         [&seen](json_token, std::string_view raw) { seen += std::string{raw} + ";"; }));
  CHECK(seen == R"(1;[2];{"k":[3]};)");
  CHECK_FALSE(for_each_element("{}", [](json_token, std::string_view) {}));
}

TEST_CASE("json_text: an object is distinguished from other JSON", "[json_text]") {
  CHECK(is_json_object(" {\"a\":[1e400]} \n"));
  for (const std::string& no : {""s, "[]"s, "\"{}\""s, "{"s, "{}x"s, "{}\0"s, "<html>"s, "null"s}) {
    CAPTURE(no);
    CHECK_FALSE(is_json_object(no));
  }
  CHECK(is_json_object("{\"a\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}"));
}
