// One line of the access log, and how text from outside is escaped for it.
#include "support/logged_lines.hpp"

#include <spdlog/spdlog.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::chrono_literals;

TEST_CASE("log_safe: ordinary text passes as it is", "[unit][logging]") {
  CHECK(log_safe("") == "");
  CHECK(log_safe("gpt-4o/größe 模型 😀") == "gpt-4o/größe 模型 😀");
}

TEST_CASE("log_safe: what could forge a line or steer a terminal is escaped", "[unit][logging]") {
  CHECK(log_safe("a\nb\rc\td") == "a\\nb\\rc\\td");
  CHECK(log_safe("\x1b[31m\x7f") == "\\x1b[31m\\x7f");
  CHECK(log_safe(std::string_view{"\0", 1}) == "\\x00");
  CHECK(log_safe("say \"x\" \\") == "say \\\"x\\\" \\\\");
  CHECK(log_safe("\xc2\x9b"
                 "31m") == "\\u009b31m");                           // C1 CSI
  CHECK(log_safe("\xe2\x80\xa8\xe2\x80\xae") == "\\u2028\\u202e");  // line separator, right-to-left override
  CHECK(log_safe("\xe2\x81\xa6") == "\\u2066");
}

TEST_CASE("log_safe: bytes that are not UTF-8 are shown as hex escapes", "[unit][logging]") {
  CHECK(log_safe("a\xff"
                 "b") == "a\\xffb");
  CHECK(log_safe("\xc3") == "\\xc3");           // cut short
  CHECK(log_safe("\xc0\xaf") == "\\xc0\\xaf");  // overlong
  CHECK(log_safe("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(log_safe("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // surrogate
  CHECK(log_safe("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  CHECK(log_safe("\xe2\x82") == "\\xe2\\x82");
  CHECK(log_safe("\xe2"
                 "ab") ==
        "\\xe2"
        "ab");
}

TEST_CASE("log_safe: values are cut at 200 bytes, between characters", "[unit][logging]") {
  CHECK(log_safe(std::string(200, 'a')) == std::string(200, 'a'));
  CHECK(log_safe(std::string(201, 'a')) == std::string(197, 'a') + "...");
  CHECK(log_safe(std::string(1'000'000, 'a')).size() == 200);
  for (int shift = 0; shift < 4; ++shift) {
    std::string value(static_cast<std::size_t>(shift), 'a');
    for (int i = 0; i < 100; ++i) value += "😀";
    const auto safe = log_safe(value);
    CHECK(safe.size() <= 200);
    CHECK(safe.size() > 192);
    CHECK(safe.find('\\') == std::string::npos);
    CHECK(safe.ends_with("..."));
  }
}

TEST_CASE("access log: a JSON line has every field", "[unit][logging]") {
  const auto line = logged_json([] { log_access(full_record()); });
  CHECK(line.MemberCount() == 19);
  CHECK(std::string{line["time"].GetString()}.size() == 24);
  CHECK(std::string{line["level"].GetString()} == "info");
  CHECK(std::string{line["msg"].GetString()} == "request");
  CHECK(std::string{line["id"].GetString()} == "req-1");
  CHECK(std::string{line["method"].GetString()} == "POST");
  CHECK(std::string{line["path"].GetString()} == "/v1/chat/completions");
  CHECK(line["status"].GetInt() == 200);
  CHECK(std::string{line["verdict"].GetString()} == "ok");
  CHECK(std::string{line["key"].GetString()} == "team-a");
  CHECK(std::string{line["model"].GetString()} == "gpt-4o");
  CHECK(line["stream"].GetBool());
  CHECK(line["ms"].GetDouble() == 1234.568);
  CHECK(line["first_byte_ms"].GetDouble() == 12.0);
  CHECK(line["chunks"].GetUint64() == 7);
  CHECK(line["bytes_in"].GetUint64() == 100);
  CHECK(line["bytes_out"].GetUint64() == 20000);
  CHECK(line["prompt_tokens"].GetInt64() == 5);
  CHECK(line["completion_tokens"].GetInt64() == 6);
  CHECK(std::string{line["detail"].GetString()} == "all is well");
}

TEST_CASE("access log: a value that a request does not have is null in JSON", "[unit][logging]") {
  const auto line = logged_json([] { log_access({}); });
  CHECK(line.MemberCount() == 19);
  CHECK(line["first_byte_ms"].IsNull());
  CHECK(line["prompt_tokens"].IsNull());
  CHECK(line["completion_tokens"].IsNull());
  CHECK(line["ms"].GetDouble() == 0);
  CHECK(std::string{line["model"].GetString()}.empty());
}

TEST_CASE("access log: a request in a trace names it", "[unit][logging]") {
  const auto line = logged_json([] {
    auto record = full_record();
    record.trace_id = "0af7651916cd43dd8448eb211c80319c";
    log_access(record);
  });
  CHECK(std::string{line["trace_id"].GetString()} == "0af7651916cd43dd8448eb211c80319c");
}

TEST_CASE("access log: hostile values stay inside their JSON string", "[unit][logging]") {
  const std::string evil =
      std::string{"\"},{\"level\":\"x\n\r\t\\\x01\x1b\xff\xc2\x9b\x7f\xe2\x80\xa8"} + '\0' + "end";
  const auto line = logged_json([&] {
    auto record = full_record();
    record.id = record.path = record.model = record.detail = record.method = record.verdict = evil;
    log_access(record);
  });
  CHECK(line.MemberCount() == 19);
  const std::string model{line["model"].GetString(), line["model"].GetStringLength()};
  CHECK(model ==
        std::string{"\"},{\"level\":\"x\n\r\t\\\x01\x1b\\xff\xc2\x9b\x7f\xe2\x80\xa8"} + '\0' + "end");
}

TEST_CASE("access log: every text is cut at 200 bytes", "[unit][logging]") {
  const std::string endless(100'000, 'p');
  const auto line = logged_json([&] {
    auto record = full_record();
    record.id = record.path = record.model = record.detail = record.method = record.verdict = endless;
    log_access(record);
  });
  for (const char* name : {"id", "path", "model", "detail", "method", "verdict"})
    CHECK(std::string{line[name].GetString()} == std::string(197, 'p') + "...");
}

TEST_CASE("access log: odd numbers do not make a line invalid", "[unit][logging]") {
  for (const double odd : {-5.0, 1e300, std::numeric_limits<double>::infinity(), std::nan("")}) {
    const auto line = logged_json([&] {
      auto record = full_record();
      record.ms = record.first_byte_ms = odd;
      record.bytes_in = UINT64_MAX;
      log_access(record);
    });
    CHECK(line["ms"].IsNumber());
  }
}

TEST_CASE("access log: the text line quotes what needs it and leaves out what is missing",
          "[unit][logging]") {
  const auto lines = logged(log_format::text, [] {
    log_access(full_record());
    access_record bare;
    bare.method = "GET";
    bare.path = "/a\" status=200\n";
    bare.status = 404;
    log_access(bare);
  });
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].substr(24) ==
        " info     id=req-1 method=POST path=/v1/chat/completions status=200 verdict=ok key=team-a "
        "model=gpt-4o "
        "stream=true "
        "ms=1234.568 first_byte_ms=12.000 chunks=7 bytes_in=100 bytes_out=20000 prompt_tokens=5 "
        "completion_tokens=6 "
        "detail=\"all is well\"");
  CHECK(lines[1].substr(24) ==
        " info     method=GET path=\"/a\\\" status=200\\n\" status=404 stream=false ms=0.000 chunks=0 "
        "bytes_in=0 "
        "bytes_out=0");
}

TEST_CASE("access log: nothing is logged above INFO, before the start and after the stop",
          "[unit][logging]") {
  log_access(full_record());
  CHECK(logged(
            log_format::json, [] { log_access(full_record()); }, log_level::warning)
            .empty());
  log_access(full_record());
  spdlog::error("dropped");
}
