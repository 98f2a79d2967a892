// Measures the pure functions through which all bytes of requests and answers pass, in bytes per second, and
// for comparison how fast memory can be read once.
//   cmake --build build/release --target pieces_bench && build/release/tests/pieces_bench
#include "http/dialect/sse.hpp"
#include "http/dialect/stream_judge.hpp"
#include "http/json/json_scanner.hpp"
#include "http/request/body_rules.hpp"
#include "http/request/request_gate.hpp"
#include "http/wire/chunk_reader.hpp"

#include <rapidjson/reader.h>

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace llm_proxy;

constexpr std::string_view english =
    "You are a careful engineer. Read the file below, find what is wrong with it, and answer with a patch "
    "that "
    "changes as little as possible. Say which test would have noticed. ";
constexpr std::string_view code =
    R"(  if (found == end) {\n    log(\"missing: %s\\n\", name);\n    return std::nullopt;\n  }\n\tauto& row = *found;\n)";
constexpr std::string_view russian =
    "Вы внимательный инженер. Прочитайте файл ниже, найдите в нём ошибку и ответьте исправлением. ";
constexpr std::string_view chinese =
    "你是一位细心的工程师。请阅读下面的文件，找出其中的错误，并给出尽可能小的修改。";

std::string repeated(std::string_view text, std::size_t size) {
  std::string out;
  while (out.size() < size) out += text;
  return out;
}

/// Returns a chat of about `size` bytes whose messages have `message` bytes each.
std::string chat(std::string_view text, std::size_t message, std::size_t size) {
  std::string body = R"({"model":"gpt-4o","stream":true,"messages":[)";
  const auto content = repeated(text, message);
  while (body.size() < size) {
    if (body.back() == '}') body += ',';
    body += R"({"role":"user","content":")" + content + "\"}";
  }
  return body + "]}";
}

std::string tools() {
  std::string body = R"({"model":"gpt-4o","messages":[],"tools":[)";
  for (int i = 0; i < 600; ++i) {
    if (i > 0) body += ',';
    body +=
        R"({"type":"function","function":{"name":"tool_)" + std::to_string(i) +
        R"(","description":"Looks a value up and returns it.","parameters":{"type":"object","properties":)"
        R"({"key":{"type":"string","minLength":1,"maxLength":64},"depth":{"type":"integer","minimum":0},)"
        R"("flags":{"type":"array","items":{"type":"string","enum":["a","b","c"]}}},"required":["key"]}}})";
  }
  return body + "]}";
}

std::string numbers() {
  std::string body = R"({"model":"m","input":[)";
  for (int i = 0; i < 100'000; ++i) body += (i > 0 ? "," : "") + std::to_string(i * 0.37125);
  return body + "]}";
}

void read_once(benchmark::State& state) {
  const std::string text(8 << 20, 'x');
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i + 8 <= text.size(); i += 8) {
      std::uint64_t word;  // NOLINT
      std::memcpy(&word, text.data() + i, 8);
      sum ^= word;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void gate(benchmark::State& state, const std::string& body) {
  for (auto _ : state) {
    auto checked = check_request(chat_rules, body);
    if (!std::holds_alternative<gated_request>(checked)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(checked);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}

void validate(benchmark::State& state, const std::string& body) {
  for (auto _ : state) {
    if (!is_valid_json(body)) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}

/// Measures RapidJSON's SAX reader with the same check.
void rapidjson_sax(benchmark::State& state, const std::string& body) {
  constexpr unsigned flags = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
  for (auto _ : state) {
    rapidjson::Reader reader;
    rapidjson::BaseReaderHandler<> handler;
    rapidjson::MemoryStream bytes{body.data(), body.size()};
    if (!reader.Parse<flags>(bytes, handler)) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body.size()));
}

std::string events(std::size_t size) {
  return repeated(
      "data: "
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\","
      "\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n",
      size);
}

void sse_lines(benchmark::State& state) {
  const auto text = events(1 << 20);
  for (auto _ : state) {
    sse_scanner scanner;
    std::string_view rest = text;
    while (scanner.next(rest) != sse_part::more) {
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void judged_stream(benchmark::State& state) {
  const auto text = events(1 << 20);
  for (auto _ : state) {
    stream_judge judge;
    std::string_view rest = text;
    for (; !rest.empty(); rest.remove_prefix(std::min<std::size_t>(rest.size(), 4096)))
      benchmark::DoNotOptimize(judge.feed(rest.substr(0, 4096)));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void chunk_framing(benchmark::State& state) {
  std::string framed;
  const auto event = events(1);
  constexpr std::string_view digits = "0123456789abcdef";
  const std::string size{digits[event.size() / 16], digits[event.size() % 16]};
  while (framed.size() < 1 << 20) framed += size + "\r\n" + event + "\r\n";
  std::string out;
  for (auto _ : state) {
    chunk_reader reader;
    out.clear();
    if (reader.read(framed, out) != framed.size() || reader.broken()) state.SkipWithError("broken");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * framed.size()));
}

const std::string prompt_8m = chat(english, 100'000, 8 << 20);
const std::string prompt_200k = chat(english, 20'000, 200'000);
const std::string short_messages = chat(english, 160, 500'000);
const std::string code_500k = chat(code, 20'000, 500'000);
const std::string russian_500k = chat(russian, 20'000, 500'000);
const std::string chinese_500k = chat(chinese, 20'000, 500'000);
const std::string tools_200k = tools();
const std::string numbers_1m = numbers();

BENCHMARK(read_once);
#define ON(what, body) BENCHMARK_CAPTURE(what, body, body)
ON(gate, prompt_8m);
ON(gate, prompt_200k);
ON(gate, short_messages);
ON(gate, code_500k);
ON(gate, russian_500k);
ON(gate, chinese_500k);
ON(gate, tools_200k);
ON(validate, numbers_1m);
ON(rapidjson_sax, prompt_8m);
ON(rapidjson_sax, code_500k);
ON(rapidjson_sax, russian_500k);
ON(rapidjson_sax, tools_200k);
ON(rapidjson_sax, numbers_1m);
BENCHMARK(sse_lines);
BENCHMARK(judged_stream);
BENCHMARK(chunk_framing);

}  // namespace

BENCHMARK_MAIN();
