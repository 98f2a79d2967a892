#include "actors/session/retry.hpp"

#include "http/wire/retry_after.hpp"
#include "support/catch.hpp"

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

}  // namespace

TEST_CASE("retry: the budget is a tenth of the requests, and ten to begin with", "[unit][retry]") {
  retry_budget budget;
  const auto spent = [&] {
    int count = 0;
    while (budget.spend()) ++count;
    return count;
  };
  CHECK(spent() == 10);
  for (int i = 0; i < 9; ++i) budget.earn();
  CHECK(spent() == 0);
  budget.earn();
  CHECK(spent() == 1);
  for (int i = 0; i < 5000; ++i) budget.earn();
  CHECK(spent() == 10);
}

TEST_CASE("retry: pauses double, are spread, and end at five seconds", "[unit][retry]") {
  CHECK(retry_pause(1, {}, {}, 0) == 100ms);
  CHECK(retry_pause(1, {}, {}, 1) == 200ms);
  CHECK(retry_pause(3, {}, {}, 1) == 800ms);
  CHECK(retry_pause(10, {}, {}, 1) == 5000ms);
}

TEST_CASE("retry: a Retry-After is kept to, or there is no retry", "[unit][retry]") {
  CHECK(retry_pause(1, 2000ms, {}, 0) == 2000ms);
  CHECK(retry_pause(1, 2000ms, {}, 1) == 2200ms);
  CHECK(retry_pause(1, 0ms, {}, 0) == 100ms);
  CHECK(retry_pause(1, 5000ms, {}, 0) == 5000ms);
  CHECK_FALSE(retry_pause(1, 5001ms, {}, 0));
  CHECK_FALSE(retry_pause(1, 2000ms, 2000ms, 0));
  CHECK(retry_pause(1, 2000ms, 2001ms, 0) == 2000ms);
  CHECK_FALSE(retry_pause(1, {}, 100ms, 0));
}

TEST_CASE("retry: Retry-After is seconds or a date", "[unit][retry]") {
  const auto now = std::chrono::sys_days{std::chrono::year{1994} / 11 / 6} + 8h + 49min + 30s;
  const auto read = [&](std::string_view text) { return parse_retry_after(text, now); };
  CHECK(read("0") == 0ms);
  CHECK(read(" 120 ") == 120s);
  CHECK(read("99999999999999999999") == milliseconds{30LL * 24 * 3600 * 1000});
  CHECK(read("Sun, 06 Nov 1994 08:49:37 GMT") == 7s);
  CHECK(read("Sun, 06 Nov 1994 08:00:00 GMT") == 0ms);
  for (const char* bad :
       {"", "-1", "1.5", "soon", "1s", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT"}) {
    INFO(bad);
    CHECK_FALSE(read(bad));
  }
}

}  // namespace llm_proxy::test
