// Checks that the scanner accepts the same texts as RapidJSON, and that it returns the same however the text
// is split.
#include "http/json/json_scanner.hpp"

#include <rapidjson/encodedstream.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void check_against_rapidjson(std::string_view text, bool valid) {
  // The known differences: RapidJSON skips a byte order mark, or any of its bytes, takes NUL for the end of
  // the text, and accepts only surrogates in pairs and numbers that fit a double.
  if (text.find_first_of("\xEF\xBB\xBF") == 0 || text.find('\0') != std::string_view::npos) return;
  rapidjson::Reader reader;
  rapidjson::MemoryStream bytes{text.data(), text.size()};
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream{bytes};
  rapidjson::BaseReaderHandler<> handler;
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  const auto verdict = reader.Parse<flags>(stream, handler).Code();
  if (verdict == rapidjson::kParseErrorStringUnicodeSurrogateInvalid) return;
  if (verdict == rapidjson::kParseErrorNumberTooBig) return;
  if (valid != (verdict == rapidjson::kParseErrorNone)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const bool valid = llm_proxy::is_valid_json(text);
  const std::size_t piece = size == 0 ? 1 : data[0] % 7U + 1;
  llm_proxy::json_scanner scanner{3};
  for (std::size_t at = 0; at < size; at += piece) scanner.feed(text.substr(at, piece));
  if (scanner.finish() != valid) std::abort();
  check_against_rapidjson(text, valid);
  return 0;
}
