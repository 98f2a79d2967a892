#include "actors/upstream_table.hpp"

#include "support/catch.hpp"

#include <cmath>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

void fail_times(upstream_table& table, std::size_t upstream, int times) {
  for (int i = 0; i < times; ++i) table.failed(upstream, "down");
}

const steady_clock::time_point now = steady_clock::now();

}  // namespace

TEST_CASE("upstreams: five faults in a row leave one out, a success between them does not",
          "[unit][upstreams]") {
  upstream_table table{{"a", "b", "c"}};
  fail_times(table, 1, 4);
  table.succeeded(1);
  fail_times(table, 1, 4);
  CHECK(table.usable(1));
  CHECK(table.share(1, now) == 1);
  table.failed(1, "down");
  CHECK_FALSE(table.usable(1));
  CHECK(table.share(1, now) == 0);
  CHECK(table.usable(0));
}

TEST_CASE("upstreams: the last usable one is never left out, nor a single one", "[unit][upstreams]") {
  upstream_table two{{"a", "b"}};
  fail_times(two, 0, 9);
  fail_times(two, 1, 9);
  CHECK_FALSE(two.usable(0));
  CHECK(two.usable(1));
  CHECK(two.any_usable_but(bit_of(0)));
  CHECK_FALSE(two.any_usable_but(bit_of(1)));
  // With the other one back, it is its turn.
  two.returned(0, now);
  two.failed(1, "down");
  CHECK_FALSE(two.usable(1));
  upstream_table one{{"a"}};
  fail_times(one, 0, 9);
  CHECK(one.usable(0));
}

TEST_CASE("upstreams: one that comes back gets its share over ten seconds, and one fault ends it",
          "[unit][upstreams]") {
  upstream_table table{{"a", "b"}};
  fail_times(table, 0, 5);
  table.returned(0, now);
  CHECK(table.usable(0));
  CHECK(std::abs(table.share(0, now) - 0.1) < 0.001);
  CHECK(std::abs(table.share(0, now + 5s) - 0.5) < 0.001);
  CHECK(table.share(0, now + 11s) == 1);
  table.failed(0, "down again");
  CHECK_FALSE(table.usable(0));
  table.returned(0, now);
  table.succeeded(0);
  table.failed(0, "once");
  CHECK(table.usable(0));
  table.returned(1, now);  // it never was away
  CHECK(table.share(1, now) == 1);
}

}  // namespace llm_proxy::test
