#include "http/wire/server_timing.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

using namespace std::chrono_literals;

TEST_CASE("server timing: metrics are a list of durations in milliseconds", "[unit][server_timing]") {
  server_timing timing;
  CHECK(timing.text().empty());
  timing.add("queue", 0ns);
  CHECK(timing.text() == "queue;dur=0");
  timing.add("auth", 1'999ns);
  timing.add("first_byte", 60'001ms + 25us);
  CHECK(timing.text() == "queue;dur=0, auth;dur=0.001, first_byte;dur=60001.025");
}

TEST_CASE("server timing: a negative time counts as 0, and the longest one fits", "[unit][server_timing]") {
  server_timing timing;
  timing.add("a", -5ms);
  timing.add("b", std::chrono::nanoseconds::max());
  CHECK(timing.text() == "a;dur=0, b;dur=9223372036854.775");
}

TEST_CASE("server timing: a metric that finds no room is left out whole", "[unit][server_timing]") {
  server_timing timing;
  for (int i = 0; i < 100; ++i) timing.add("sixteen_letters_", 1234567890123us);
  const std::string text{timing.text()};
  CHECK(text.size() < 256);
  CHECK(text.size() > 200);
  CHECK(text.substr(text.rfind(' ') + 1) == "sixteen_letters_;dur=1234567890.123");
}

TEST_CASE("server timing: LiteLLM's overhead is a number of milliseconds or nothing",
          "[unit][server_timing]") {
  CHECK(read_overhead("18.224") == 18'224us);
  CHECK(read_overhead(" 0 ") == 0ns);
  for (const auto* text : {"", "None", "18.2ms", "-1", "nan", "inf", "1e30", "1, 2", "0x10"}) {
    INFO(text);
    CHECK_FALSE(read_overhead(text));
  }
}

}  // namespace llm_proxy
