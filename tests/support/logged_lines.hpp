// Collects the lines that are logged while a test runs an action.
#pragma once

#include "config/access_log.hpp"
#include "config/logging.hpp"
#include "support/catch.hpp"

#include <rapidjson/document.h>

#include <array>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

/// A pipe that the log is written to. It is read only after the log has stopped, so the log must be smaller
/// than 64 KiB.
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

inline std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

/// Returns the lines that `act` logs.
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

inline access_record full_record() {
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

}  // namespace llm_proxy::test
