#include "http/json/json_scanner.hpp"

#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"
#include "support/catch.hpp"

#include <rapidjson/encodedstream.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace llm_proxy;
using namespace std::string_literals;

namespace {

const std::vector<std::string> good{
    "{}",
    "[]",
    "0",
    "-0",
    "1.0",
    "1e-7",
    "1E+7",
    "-0.0e-0",
    "9007199254740993",
    "1e400",
    "-1e400",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    R"("")",
    R"("a")",
    " \t\r\n{} \t\r\n",
    R"({"a":1,"a":2,"":3})",
    R"([1,[2,{"b":[{}]}],[]])",
    R"("\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\uDE00")",
    R"("\ud800")",
    R"("\udc00\ud800x")",
    R"("\ud800\u0041")",
    R"({"\u0061":null})",
    "\"\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF \xF0\x90\x80\x80 "
    "\xF4\x8F\xBF\xBF\"",
    "\"\xEF\xBB\xBF a mark in a string, and \x7F\"",
    R"([1 , 2 ,{ "a" : "b" } ])",
    R"("a string of more than forty-eight bytes, so that its text is cut somewhere")",
    R"({"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":{"prompt_tokens":12}})",
    "\"/* no comment */ // nor here\"",
};

const std::vector<std::string> bad{
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[}",
    "{]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\" 1}",
    "{a:1}",
    "{'a':1}",
    "{1:2}",
    "{,}",
    "01",
    "-",
    "-a",
    "+1",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "1.5.",
    "0x1",
    "1_000",
    "--1",
    "[-]",
    "[01]",
    "[1.]",
    "[1e]",
    "NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    "{\"a\":-Infinity}",
    "nul",
    "nulL",
    "truefalse",
    "tru",
    "True",
    "fals\n",
    "[nul]",
    "\"",
    "\"a",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"a\nb\"",
    "\"a\tb\"",
    "\"\x01\"",
    "\"\x1F\"",
    "\"\0\""s,
    "{}\0"s,
    "\0{}"s,
    "{}\0junk"s,
    "1\0"s,
    "[1\0]"s,
    "{} {}",
    "{}x",
    "1 2",
    "\"a\"\"b\"",
    "\xEF\xBB\xBF{}",
    "/* c */{}",
    "{}// c",
    "[1,/**/2]",
    "\"\x80\"",
    "\"\xC0\x80\"",
    "\"\xC1\xBF\"",
    "\"\xC2\"",
    "\"\xC2\x41\"",
    "\"\xE0\x80\x80\"",
    "\"\xE0\x9F\xBF\"",
    "\"\xED\xA0\x80\"",
    "\"\xED\xBF\xBF\"",
    "\"\xF0\x80\x80\x80\"",
    "\"\xF0\x8F\xBF\xBF\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xF5\x80\x80\x80\"",
    "\"\xFF\"",
    "\"\xE2\x82\"",
    "\"\xF0\x9F\x98\"",
    "\xC3\xA9",
    "{\"\xFF\":1}",
    "\"0123456789abcdef\x80\"",
    "\"0123456789abcde\xC2",
    "\xA0[]",
    "\f{}",
    "\v1",
};

struct seen_token {
  json_token token;
  std::uint32_t depth;
  std::string text;
  std::uint64_t begin;
  std::uint64_t end;
  bool operator==(const seen_token&) const = default;
};

struct scan_result {
  bool valid = false;
  json_fault fault = json_fault::none;
  std::uint64_t offset = 0;
  std::vector<seen_token> tokens;
  bool operator==(const scan_result&) const = default;
};

void scan_on(json_scanner& scanner, std::string_view piece, scan_result& result) {
  // A copy in its own memory lets the address sanitizer notice a read beyond the piece.
  const std::vector<char> copy{piece.begin(), piece.end()};
  scanner.feed({copy.data(), copy.size()}, [&](json_token token) {
    const bool has_text =
        token == json_token::key || token == json_token::string || token == json_token::number;
    result.tokens.push_back({token, scanner.depth(), has_text ? std::string{scanner.text()} : "",
                             scanner.token_begin(), scanner.offset()});
  });
}

scan_result scan(const std::vector<std::string_view>& pieces, std::uint32_t watch_depth = 9) {
  json_scanner scanner{watch_depth};
  scan_result result;
  for (const auto piece : pieces) scan_on(scanner, piece, result);
  result.valid = scanner.finish();
  result.fault = scanner.fault();
  result.offset = scanner.offset();
  return result;
}

rapidjson::ParseErrorCode rapidjson_verdict(std::string_view text) {
  rapidjson::Reader reader;
  rapidjson::MemoryStream bytes{text.data(), text.size()};
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream{bytes};
  rapidjson::BaseReaderHandler<> handler;
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                             rapidjson::kParseNumbersAsStringsFlag;
  return reader.Parse<flags>(stream, handler).Code();
}

/// Checks that the scanner agrees with RapidJSON, except where RapidJSON is known to differ.
void check_against_rapidjson(const std::string& text) {
  const bool begins_with_mark = text.find_first_of("\xEF\xBB\xBF") == 0;  // RapidJSON skips any of its bytes
  if (begins_with_mark || text.find('\0') != std::string::npos) return;   // RapidJSON takes NUL for the end
  const auto verdict = rapidjson_verdict(text);
  if (verdict == rapidjson::kParseErrorStringUnicodeSurrogateInvalid) return;  // RapidJSON accepts only pairs
  if (verdict == rapidjson::kParseErrorNumberTooBig) return;  // and only numbers that fit a double
  CAPTURE(text);
  CHECK(is_valid_json(text) == (verdict == rapidjson::kParseErrorNone));
}

}  // namespace

TEST_CASE("json_scanner: takes JSON and nothing else", "[json_scanner]") {
  for (const auto& text : good) {
    CAPTURE(text);
    CHECK(is_valid_json(text));
    check_against_rapidjson(text);
  }
  for (const auto& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(is_valid_json(text));
    check_against_rapidjson(text);
  }
}

TEST_CASE("json_scanner: says the same at every split", "[json_scanner]") {
  auto all = good;
  all.insert(all.end(), bad.begin(), bad.end());
  for (const auto& document : all) {
    CAPTURE(document);
    const std::string_view text = document;
    const auto whole = scan({text});
    for (std::size_t i = 0; i <= text.size(); ++i) {
      CHECK(scan({text.substr(0, i), text.substr(i)}) == whole);
      CHECK(scan({text.substr(0, i), text.substr(i, 1), text.substr(std::min(i + 1, text.size()))}) == whole);
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i != text.size(); ++i) bytes.push_back(text.substr(i, 1));
    CHECK(scan(bytes) == whole);
  }
}

TEST_CASE("json_scanner: agrees with RapidJSON on mutations of good and bad texts", "[json_scanner]") {
  std::mt19937 random{7};
  const std::string bytes = "{}[]\",:\\ \n01.-+eEtrufalsn\x80\xC3\xA9\xED\xF0/x";
  const auto pick = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  for (int round = 0; round != 20'000; ++round) {
    auto text = good[pick(good.size())];
    for (auto changes = pick(3) + 1; changes != 0 && !text.empty(); --changes) {
      const auto at = pick(text.size());
      switch (pick(3)) {
        case 0:
          text[at] = bytes[pick(bytes.size())];
          break;
        case 1:
          text.erase(at, 1);
          break;
        default:
          text.insert(at, 1, bytes[pick(bytes.size())]);
          break;
      }
    }
    check_against_rapidjson(text);
  }
}

TEST_CASE("json_scanner: finds each special byte at every place of a long string", "[json_scanner]") {
  for (std::size_t at = 0; at != 70; ++at) {
    CAPTURE(at);
    std::string text = "\"" + std::string(70, 'a') + "\"";
    CHECK(is_valid_json(text));
    for (const char wrong : {'"', '\\', '\x1F', '\0', '\n', '\x80', '\xFF'}) {
      text[at + 1] = wrong;
      CHECK_FALSE(is_valid_json(text));
    }
    for (const char fine : {' ', '\x7F', '/', '!', '#', '[', ']'}) {
      text[at + 1] = fine;
      CHECK(is_valid_json(text));
    }
  }
}

TEST_CASE("json_scanner: characters of several bytes are checked wherever a block of 8, 16 or 32 bytes ends",
          "[json_scanner]") {
  const std::vector<std::string> whole{
      "\xC2\x80",     "\xDF\xBF",         "\xE0\xA0\x80",     "\xED\x9F\xBF",
      "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "\xC3\xA9\xE2\x82\xAC"};
  const std::vector<std::string> broken{
      "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF",
      "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
      "\xC3",         "\xE2\x82",         "\xF0\x9F\x98",     "\xC3\xC3\xA9",
      "\xE2\x82\x41"};
  constexpr std::size_t most = 100;
  for (std::size_t before = 0; before != most; ++before) {
    // The scanner reads the last few bytes of its input one by one. So the character is tried with and
    // without text behind it.
    for (const std::size_t behind : {std::size_t{0}, std::size_t{1}, most}) {
      const auto text = [&](const std::string& middle) {
        return '"' + std::string(before, 'a') + middle + std::string(behind, 'b') + '"';
      };
      CAPTURE(before, behind);
      for (const auto& each : whole) {
        CHECK(is_valid_json(text(each)));
        check_against_rapidjson(text(each));
        // The character is broken at each of its bytes: that byte is replaced, or the rest is cut off.
        for (std::size_t i = 0; i != each.size(); ++i) {
          auto wrong = each;
          wrong[i] = 'x';
          CHECK_FALSE(is_valid_json(text(wrong)));
          check_against_rapidjson(text(each.substr(0, i)));
        }
      }
      for (const auto& each : broken) {
        CHECK_FALSE(is_valid_json(text(each)));
        const auto at = scan({text(each)});
        CHECK(at.fault == json_fault::bad_utf8);
      }
    }
  }
}

TEST_CASE("json_scanner: names the fault and its place", "[json_scanner]") {
  const auto fault_of = [](std::string_view text) {
    const auto result = scan({text});
    return std::pair{result.fault, result.offset};
  };
  using fault = std::pair<json_fault, std::uint64_t>;
  CHECK(fault_of("") == fault{json_fault::unexpected_end, 0});
  CHECK(fault_of("[1,") == fault{json_fault::unexpected_end, 3});
  CHECK(fault_of("[1,x]") == fault{json_fault::unexpected_byte, 3});
  CHECK(fault_of("{} {") == fault{json_fault::trailing_data, 3});
  CHECK(fault_of("[nulx]") == fault{json_fault::bad_literal, 4});
  CHECK(fault_of("[-x]") == fault{json_fault::bad_number, 2});
  CHECK(fault_of(R"(["\x"])") == fault{json_fault::bad_escape, 3});
  CHECK(fault_of("[\"a\n\"]") == fault{json_fault::control_byte, 3});
  CHECK(fault_of("[\"\xC3\xA9\xFF\"]") == fault{json_fault::bad_utf8, 4});
  CHECK(fault_of("[\"\xE2\x82\"]") == fault{json_fault::bad_utf8, 4});
}

TEST_CASE("json_scanner: shows keys unescaped, kinds and byte ranges down to the watched depth",
          "[json_scanner]") {
  const auto result = scan({R"({"\u0061\n":[1.5,{"deep":[]}],"b":"x"})"}, 1);
  using t = json_token;
  const std::vector<seen_token> wanted{{t::begin_object, 0, "", 0, 1},  {t::key, 1, "a\n", 1, 11},
                                       {t::begin_array, 1, "", 12, 13}, {t::end_array, 1, "", 28, 29},
                                       {t::key, 1, "b", 30, 33},        {t::string, 1, "x", 34, 37},
                                       {t::end_object, 0, "", 37, 38}};
  CHECK(result.tokens == wanted);
}

TEST_CASE("json_scanner: text joins surrogate pairs, replaces lone halves and is cut at its limit",
          "[json_scanner]") {
  const auto text_of = [](const std::string& json) { return scan({json}).tokens.at(0).text; };
  CHECK(text_of(R"("\ud83d\ude00")") == "\xF0\x9F\x98\x80");
  CHECK(text_of(R"("\ud83dx\ude00")") == "\xEF\xBF\xBDx\xEF\xBF\xBD");
  CHECK(text_of(R"("\ud83d")") == "\xEF\xBF\xBD");
  CHECK(text_of(R"("\ud83d\ud83d\ude00")") == "\xEF\xBF\xBD\xF0\x9F\x98\x80");
  CHECK(text_of("\"" + std::string(100, 'a') + "\"") == std::string(json_scanner::text_limit, 'a'));
  for (const std::string& json :
       {R"("\ud83d\ude00 \\ a")"s, R"("\ud83dx\ude00")"s, R"("\u00e9\t")"s, R"("\ud83d\ud83d")"s}) {
    CHECK(json_unescaped(json) == text_of(json));
  }
}

TEST_CASE("json_scanner: nesting of any depth neither crashes nor slows it", "[json_scanner]") {
  for (const std::size_t depth : {63U, 64U, 65U, 128U, 129U, 100'000U, 10'000'000U}) {
    CAPTURE(depth);
    json_scanner scanner;
    CHECK(scanner.feed(std::string(depth, '[')));
    CHECK(scanner.feed(std::string(depth, ']')));
    CHECK(scanner.finish());
  }
  std::string mixed;
  for (int i = 0; i != 50'000; ++i) mixed += R"({"a":[)";
  std::string closing;
  for (int i = 0; i != 50'000; ++i) closing += "]}";
  CHECK(is_valid_json(mixed + closing));
  closing[closing.size() - 70] = closing[closing.size() - 70] == ']' ? '}' : ']';
  CHECK_FALSE(is_valid_json(mixed + closing));
  json_scanner limited{0, 100};
  CHECK_FALSE(limited.feed(std::string(101, '[')));
  CHECK(limited.fault() == json_fault::too_deep);
}

TEST_CASE("json_scanner: reset begins a new text", "[json_scanner]") {
  json_scanner scanner;
  CHECK_FALSE(scanner.feed(std::string(200, '[') + "x"));
  scanner.reset();
  CHECK(scanner.feed("[1]"));
  CHECK(scanner.finish());
}
