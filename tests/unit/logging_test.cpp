// The log as a whole: its levels, lines of several threads, and readers that are stuck or gone.
#include "support/logged_lines.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::chrono_literals;

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

TEST_CASE("log: a changed level applies to the lines of requests, too", "[unit][logging]") {
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

TEST_CASE("log: a line is written without waiting for another line or for the stop", "[unit][logging]") {
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
  // At 60,000 lines a second, the queue's 2,048 places would be full if the writer paused for 35 ms.
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

TEST_CASE("log: a stuck reader delays neither those who log nor the stop for long, and the loss is reported",
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
  pipe.close_reader();  // so that the thread that was left behind ends
  pipe.writer = -1;     // stays open: that thread may be about to use it
}

TEST_CASE("log: a reader that has gone ends neither the log nor the process", "[unit][logging]") {
  log_pipe pipe;
  pipe.close_reader();
  start_logging({}, pipe.writer, log_format::json);
  for (int i = 0; i < 10; ++i) spdlog::info("nobody reads this");
  stop_logging();
  stop_logging();
}
