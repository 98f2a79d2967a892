// Helpers for the tests of stream_judge: they write a stream of events and collect the judge's results.
#pragma once

#include "http/dialect/stream_judge.hpp"
#include "support/catch.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy::test {

inline std::string event(std::string_view data) {
  return "data: " + std::string{data} + "\n\n";
}

inline std::string delta(std::string_view text) {
  return event(R"({"choices":[{"index":0,"delta":{"content":")" + std::string{text} +
               R"("},"finish_reason":null}]})");
}

/// Returns a chunk with one choice. `index` and `finish_reason` are inserted as they are.
inline std::string chunk(std::string_view index, std::string_view finish_reason) {
  return event(R"({"choices":[{"index":)" + std::string{index} + R"(,"delta":{},"finish_reason":)" +
               std::string{finish_reason} + "}]}");
}

inline const std::string done = "data: [DONE]\n\n";

/// A stream judge and the bytes that it passed on.
struct run {
  std::string out;   // by feed()
  std::string last;  // by finish()
  stream_judge stream;

  run& feed(std::string_view piece) {
    // The copy has its own memory, so that the sanitizer detects reads beyond the piece.
    const std::vector<char> copy{piece.begin(), piece.end()};
    std::string_view rest{copy.data(), copy.size()};
    do {
      out += stream.feed(rest);
      out += stream.take_error();
      rest = rest.substr(rest.size() - stream.unread());
    } while (!rest.empty());
    return *this;
  }
  run& finish() {
    last = stream.finish();
    return *this;
  }
};

inline std::string state(const stream_judge& stream) {
  std::string text = stream.complete() ? "complete" : "open";
  if (stream.done_seen()) text += " done";
  if (stream.error_seen()) text += " error";
  if (stream.inside_event()) text += " inside";
  text += " events=" + std::to_string(stream.events());
  if (stream.usage)
    text += " usage=" + std::to_string(stream.usage->prompt_tokens) + "+" +
            std::to_string(stream.usage->completion_tokens);
  return text;
}

/// Feeds `bytes` whole, split in two at every place, and byte by byte. The outcome and the passed bytes must
/// always be the same.
inline void check_at_every_split(std::string_view bytes, const std::string& wanted,
                                 std::string_view dropped = "") {
  CAPTURE(bytes);
  const auto check = [&](run& r) {
    const auto before = r.out;
    r.finish();
    CHECK(state(r.stream) == wanted);
    CHECK(r.out + r.last == bytes.substr(0, bytes.size() - dropped.size()));
    CHECK(r.stream.held() == 0);
  };
  run whole;
  check(whole.feed(bytes));
  for (std::size_t i = 0; i <= bytes.size(); ++i) {
    CAPTURE(i);
    run split;
    check(split.feed(bytes.substr(0, i)).feed(bytes.substr(i)));
  }
  run single;
  for (const char byte : bytes) single.feed({&byte, 1});
  check(single);
}

}  // namespace llm_proxy::test
