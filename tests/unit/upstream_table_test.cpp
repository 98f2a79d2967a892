#include "actors/messages/upstream_table.hpp"

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
  // When the other one is back, this one can be left out.
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
  table.returned(1, now);  // it was never left out
  CHECK(table.share(1, now) == 1);
}

TEST_CASE("upstreams: one that was left out is used again once a later request of its own is answered",
          "[unit][upstreams]") {
  upstream_table table{{"a", "b"}};
  const auto before = steady_clock::now();
  fail_times(table, 0, 5);
  table.answered(0, before, now);  // the answer to a request from before it was left out
  CHECK_FALSE(table.usable(0));
  const auto later = steady_clock::now() + 1ms;
  table.answered(0, later, later);
  CHECK(table.usable(0));
  CHECK(std::abs(table.share(0, later) - 0.1) < 0.001);
  table.answered(1, later, later);  // it was never left out
  CHECK(table.share(1, later) == 1);
  CHECK(table.ejections(0) == 1);
}

TEST_CASE("upstreams: an upstream that was not tried counts, usable or left out", "[unit][upstreams]") {
  upstream_table table{{"a", "b"}};
  fail_times(table, 0, 5);
  CHECK_FALSE(table.any_usable_but(bit_of(1)));
  CHECK(table.any_but(bit_of(1)));
  CHECK(table.any_but(0));
  CHECK_FALSE(table.any_but(bit_of(0) | bit_of(1)));
  std::vector<std::string> names(max_upstreams, "x");
  const upstream_table most{names};
  CHECK(most.any_but(bit_of(max_upstreams - 1) - 1));
  CHECK_FALSE(most.any_but((bit_of(max_upstreams - 1) << 1) - 1));
}

TEST_CASE("upstreams: three clients that give up within ten seconds cause one probe", "[unit][upstreams]") {
  upstream_table table{{"a", "b"}};
  CHECK_FALSE(table.abandoned(0, now));
  CHECK_FALSE(table.abandoned(1, now));
  CHECK_FALSE(table.abandoned(0, now + 9s));
  CHECK_FALSE(table.abandoned(0, now + 11s));  // the first is too long ago
  CHECK(table.abandoned(0, now + 12s));
  // Clients that go on giving up cause no more than one probe in ten seconds.
  int asked = 0;
  for (auto time = 12s; time < 42s; time += 1s) asked += table.abandoned(0, now + time) ? 1 : 0;
  CHECK(asked == 2);
  CHECK(table.usable(0));
  CHECK(table.ejections(0) == 0);
}

TEST_CASE("upstreams: clients that give up leave none out, but a failed probe does, except the last one",
          "[unit][upstreams]") {
  upstream_table table{{"a", "b"}};
  for (int i = 0; i < 30; ++i) table.abandoned(0, now);
  CHECK(table.usable(0));
  table.gave_no_sign(0, "no answer");
  CHECK_FALSE(table.usable(0));
  CHECK(table.ejections(0) == 1);
  table.gave_no_sign(1, "no answer");
  CHECK(table.usable(1));
  // An upstream that is already left out is not probed because clients give up. Neither is the only upstream.
  for (int i = 0; i < 6; ++i) CHECK_FALSE(table.abandoned(0, now + 60s));
  upstream_table one{{"a"}};
  for (int i = 0; i < 6; ++i) CHECK_FALSE(one.abandoned(0, now));
}

}  // namespace llm_proxy::test
