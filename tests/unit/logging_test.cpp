#include "config/logging.hpp"

#include "config/access_log.hpp"
#include "support/catch.hpp"

#include <rapidjson/document.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fcntl.h>
#include <limits>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace llm_proxy;
using namespace std::chrono_literals;

namespace {

/// A pipe; what was written to it is read after the log has stopped, so keep it below 64 KiB.
struct log_pipe {
  log_pipe() {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    reader = ends[0];
    writer = ends[1];
  }
  ~log_pipe() {
    close_reader();
    close(writer);
  }
  log_pipe(const log_pipe&) = delete;
  log_pipe& operator=(const log_pipe&) = delete;

  void close_reader() {
    if (reader >= 0) close(reader);
    reader = -1;
  }
  std::string read_some() const {
    std::string text(1 << 16, '\0');
    const auto size = read(reader, text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

  int reader = -1;
  int writer = -1;
};

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// What is logged by `act`, line by line.
template <class Act>
std::vector<std::string> logged(log_format format, Act act, log_level level = log_level::info) {
  log_pipe pipe;
  settings values;
  values.log_level = level;
  start_logging(values, pipe.writer, format);
  act();
  stop_logging();
  close(pipe.writer);
  pipe.writer = -1;
  return split_lines(pipe.read_some());
}

template <class Act>
rapidjson::Document logged_json(Act act) {
  const auto lines = logged(log_format::json, act);
  REQUIRE(lines.size() == 1);
  rapidjson::Document line;
  line.Parse<rapidjson::kParseValidateEncodingFlag>(lines[0].c_str());
  INFO(lines[0]);
  REQUIRE(line.IsObject());
  return line;
}

access_record full_record() {
  return {.id = "req-1",
          .method = "POST",
          .path = "/v1/chat/completions",
          .verdict = "ok",
          .key = "team-a",
          .model = "gpt-4o",
          .detail = "all is well",
          .trace_id = {},
          .status = 200,
          .stream = true,
          .ms = 1234.5678,
          .first_byte_ms = 12.0004,
          .chunks = 7,
          .bytes_in = 100,
          .bytes_out = 20000,
          .prompt_tokens = 5,
          .completion_tokens = 6};
}

}  // namespace

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

TEST_CASE("log_safe: bytes that are no UTF-8 are shown as such", "[unit][logging]") {
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

TEST_CASE("access log: what a request has not is null in JSON", "[unit][logging]") {
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

TEST_CASE("access log: odd numbers make no invalid line", "[unit][logging]") {
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

TEST_CASE("log: an ordinary line is a JSON object too", "[unit][logging]") {
  const auto line = logged_json([] { spdlog::warn("two\nlines \"quoted\" \x1b {}", "end"); });
  CHECK(line.MemberCount() == 3);
  CHECK(std::string{line["level"].GetString()} == "warning");
  CHECK(std::string{line["msg"].GetString()} == "two\nlines \"quoted\" \x1b end");
}

TEST_CASE("log: an ordinary text line stays one line", "[unit][logging]") {
  const auto lines = logged(log_format::text, [] { spdlog::critical("a\nb \"c\" \x1b[0m"); });
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].substr(24) == " critical a\\nb \"c\" \\x1b[0m");
}

TEST_CASE("log: the level of the settings holds", "[unit][logging]") {
  const auto act = [] {
    spdlog::trace("t");
    spdlog::debug("d");
    spdlog::info("i");
    spdlog::warn("w");
    spdlog::error("e");
    spdlog::critical("c");
  };
  CHECK(logged(log_format::json, act, log_level::trace).size() == 6);
  CHECK(logged(log_format::json, act, log_level::debug).size() == 5);
  CHECK(logged(log_format::json, act, log_level::info).size() == 4);
  CHECK(logged(log_format::json, act, log_level::warning).size() == 3);
  CHECK(logged(log_format::json, act, log_level::error).size() == 2);
  CHECK(logged(log_format::json, act, log_level::critical).size() == 1);
}

TEST_CASE("log: a level that is changed holds for the lines of requests too", "[unit][logging]") {
  const auto act = [](log_level then) {
    return [then] {
      set_log_level(then);
      log_access(full_record());
      spdlog::info("i");
    };
  };
  CHECK(logged(log_format::json, act(log_level::warning), log_level::info).empty());
  CHECK(logged(log_format::json, act(log_level::info), log_level::warning).size() == 2);
}

TEST_CASE("log: a line is out without a further one and without a stop", "[unit][logging]") {
  log_pipe pipe;
  start_logging({}, pipe.writer, log_format::json);
  for (int i = 0; i < 3; ++i) {
    spdlog::info("line {}", i);
    CHECK(pipe.read_some().find("line " + std::to_string(i)) !=
          std::string::npos);  // blocks until it is there
  }
  stop_logging();
}

TEST_CASE("log: lines of several threads come out whole and in each thread's order", "[unit][logging]") {
  const auto lines = logged(log_format::json, [] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([t] {
        for (int i = 0; i < 100; ++i) spdlog::info("{} {}", t, i);
      });
    for (auto& thread : threads) thread.join();
  });
  REQUIRE(lines.size() == 400);
  std::array<int, 4> next{};
  for (const auto& text : lines) {
    rapidjson::Document line;
    line.Parse(text.c_str());
    REQUIRE(line.IsObject());
    const std::string message = line["msg"].GetString();
    const auto thread = static_cast<std::size_t>(message[0] - '0');
    CHECK(std::stoi(message.substr(2)) == next.at(thread)++);
  }
}

TEST_CASE("log: lines that come fast, one at a time, are all written", "[unit][logging]") {
  // 60,000 in a second would fill the queue's 2,048 places if the writer rested for 35 ms.
  constexpr std::size_t bursts = 100, lines_in_burst = 60;
  log_pipe pipe;
  settings values;
  values.threads = 2;
  start_logging(values, pipe.writer, log_format::text);
  std::size_t lines = 0;
  std::thread reading{[&] {
    for (auto text = pipe.read_some(); !text.empty(); text = pipe.read_some())
      lines += static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }};
  for (std::size_t burst = 0; burst < bursts; ++burst) {
    for (std::size_t line = 0; line < lines_in_burst; ++line) spdlog::info("one of many");
    std::this_thread::sleep_for(1ms);
  }
  stop_logging();
  close(pipe.writer);
  reading.join();
  pipe.writer = -1;
  CHECK(lines == bursts * lines_in_burst);
}

TEST_CASE("log: a stuck reader delays neither those who log nor the stop for long, and the loss is told",
          "[unit][logging]") {
  log_pipe pipe;
  start_logging({}, pipe.writer, log_format::json);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 30'000; ++i) log_access(full_record());  // 12 MB into a pipe of 64 KiB
  CHECK(std::chrono::steady_clock::now() - begin < 10s);

  // Once the reader goes on, the newest lines come, and a line says how many did not.
  std::string text;
  std::thread reader{[&] {
    while (true) {
      const auto part = pipe.read_some();
      if (part.empty()) return;
      text += part;
    }
  }};
  stop_logging();
  close(pipe.writer);
  reader.join();
  pipe.writer = open("/dev/null", O_WRONLY | O_CLOEXEC);

  std::size_t requests = 0, lost = 0;
  for (const auto& one : split_lines(text)) {
    rapidjson::Document line;
    line.Parse(one.c_str());
    REQUIRE(line.IsObject());
    if (line.HasMember("id"))
      ++requests;
    else
      lost += static_cast<std::size_t>(std::stoul(line["msg"].GetString()));
  }
  CHECK(lost > 0);
  CHECK(requests + lost == 30'000);
}

TEST_CASE("log: the stop does not wait for ever for a reader that never reads", "[unit][logging]") {
  log_pipe pipe;
  start_logging({}, pipe.writer, log_format::json);
  for (int i = 0; i < 1000; ++i) log_access(full_record());
  const auto begin = std::chrono::steady_clock::now();
  stop_logging();
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  pipe.close_reader();  // lets the thread left behind end
  pipe.writer = -1;     // stays open: that thread may be about to use it
}

TEST_CASE("log: a reader that has gone ends nothing", "[unit][logging]") {
  log_pipe pipe;
  pipe.close_reader();
  start_logging({}, pipe.writer, log_format::json);
  for (int i = 0; i < 10; ++i) spdlog::info("nobody reads this");
  stop_logging();
  stop_logging();
}
