#include "actors/access/admission_book.hpp"

#include "support/catch.hpp"

#include <map>
#include <memory>
#include <string>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;
using answer = admission_book::answer;

key_rules_ptr rules_of(std::string name, std::size_t max_concurrent = 0, std::uint64_t rpm = 0,
                       std::uint64_t tpm = 0) {
  auto rules = std::make_shared<key_rules>();
  rules->name = std::move(name);
  rules->max_concurrent = max_concurrent;
  rules->rpm = rpm;
  rules->tpm = tpm;
  return rules;
}

/// A book with a clock that the test moves.
struct desk {
  explicit desk(admission_options options) : book{options} {}

  answer ask(admission_book::ticket who, const key_rules_ptr& rules) {
    last = book.ask(who, rules, now);
    return last.what;
  }
  void free(const std::string& name) { book.freed(name, now); }
  /// Returns the tickets that are admitted now.
  std::vector<admission_book::ticket> admit() {
    std::vector<admission_book::ticket> out;
    for (const auto& each : book.admit()) out.push_back(each.who);
    return out;
  }
  std::string header(std::string_view name) const {
    return std::string{last.headers.find(name).value_or("none")};
  }

  admission_book book;
  admission_book::time_point now{1h};
  admission_book::decision last;
};

using tickets = std::vector<admission_book::ticket>;

}  // namespace

TEST_CASE("admission: without limits everybody is let in", "[unit][admission]") {
  desk on{{}};
  for (admission_book::ticket i = 0; i < 1000; ++i) CHECK(on.ask(i, rules_of("a")) == answer::granted);
  CHECK(on.book.in_use() == 1000);
}

TEST_CASE("admission: the service's limit is a 503, the key's a 429", "[unit][admission]") {
  desk on{{3, 0, 10s}};
  const auto a = rules_of("a", 2);
  CHECK(on.ask(1, a) == answer::granted);
  CHECK(on.ask(2, a) == answer::granted);
  CHECK(on.ask(3, a) == answer::refused);
  CHECK(on.last.fault.code == errc::rate_limited);
  CHECK(on.last.fault.message == "This key is at its limit of 2 concurrent requests.");
  CHECK(on.header("retry-after") == "1");
  CHECK(on.ask(4, rules_of("b")) == answer::granted);
  CHECK(on.ask(5, rules_of("b")) == answer::refused);
  CHECK(on.last.fault.code == errc::overloaded);
  CHECK(on.header("retry-after") == "1");
  CHECK(on.book.in_use() == 3);
  on.free("a");
  CHECK(on.ask(6, a) == answer::granted);
  for (const char* name : {"a", "a", "b", "b", "unknown"}) on.free(name);
  CHECK(on.book.in_use() == 0);
}

TEST_CASE("admission: retry-after follows the rate at which places come free", "[unit][admission]") {
  desk on{{1, 0, 10s}};
  const auto a = rules_of("a");
  REQUIRE(on.ask(1, a) == answer::granted);
  for (int i = 0; i < 4; ++i) {
    on.free("a");
    on.now += 8s;  // one in 8 s
    REQUIRE(on.ask(2, a) == answer::granted);
  }
  CHECK(on.ask(3, a) == answer::refused);
  CHECK(on.header("retry-after") == "8");
  on.now += 10min;
  CHECK(on.ask(3, a) == answer::refused);
  CHECK(on.header("retry-after") == "60");
}

TEST_CASE("admission: waiting requests are admitted from one key after another, in order within each key",
          "[unit][admission]") {
  desk on{{1, 10, 10s}};
  const auto a = rules_of("a");
  const auto b = rules_of("b");
  const auto c = rules_of("c");
  REQUIRE(on.ask(1, a) == answer::granted);
  for (const admission_book::ticket who : {11, 12, 13, 14}) CHECK(on.ask(who, a) == answer::queued);
  for (const admission_book::ticket who : {21, 22}) CHECK(on.ask(who, b) == answer::queued);
  CHECK(on.ask(31, c) == answer::queued);
  CHECK(on.admit().empty());
  tickets order;
  for (const char* done : {"a", "a", "b", "c", "a", "b", "a"}) {
    on.free(done);
    for (const auto who : on.admit()) order.push_back(who);
  }
  CHECK(order == tickets{11, 21, 31, 12, 22, 13, 14});
  CHECK(on.book.in_use() == 1);
  CHECK(on.book.waiting() == 0);
}

TEST_CASE("admission: a key at its own limit holds nobody else up", "[unit][admission]") {
  desk on{{2, 10, 10s}};
  const auto a = rules_of("a", 1);
  const auto b = rules_of("b");
  REQUIRE(on.ask(1, a) == answer::granted);
  REQUIRE(on.ask(2, a) == answer::queued);
  CHECK(on.ask(3, b) == answer::granted);
  REQUIRE(on.ask(4, b) == answer::queued);
  on.free("b");
  CHECK(on.admit() == tickets{4});
  on.free("a");
  CHECK(on.admit() == tickets{2});
}

TEST_CASE("admission: a queue is bounded per key, and a request that leaves it makes room",
          "[unit][admission]") {
  desk on{{1, 2, 10s}};
  const auto a = rules_of("a");
  REQUIRE(on.ask(1, a) == answer::granted);
  CHECK(on.ask(2, a) == answer::queued);
  CHECK(on.ask(3, a) == answer::queued);
  CHECK(on.ask(4, a) == answer::refused);
  CHECK(on.ask(5, rules_of("b")) == answer::queued);
  on.book.leave(2, on.now);
  on.book.leave(99, on.now);
  CHECK(on.ask(6, a) == answer::queued);
  on.free("a");
  CHECK(on.admit() == tickets{3});
  on.free("a");
  CHECK(on.admit() == tickets{5});
  CHECK(on.book.waiting() == 1);
  on.book.leave(6, on.now);
  CHECK(on.book.waiting() == 0);
  CHECK_FALSE(on.book.next_expiry());
}

TEST_CASE("admission: a request that waits too long is refused for the limit that is in its way",
          "[unit][admission]") {
  desk on{{2, 10, 10s}};
  const auto a = rules_of("a", 1);
  REQUIRE(on.ask(1, a) == answer::granted);
  REQUIRE(on.ask(2, a) == answer::queued);
  on.now += 5s;
  REQUIRE(on.ask(3, rules_of("b")) == answer::granted);
  REQUIRE(on.ask(4, rules_of("b")) == answer::queued);
  CHECK(on.book.next_expiry() == on.now + 5s);
  CHECK(on.book.expire(on.now + 4999ms).empty());
  on.now += 5s;
  auto late = on.book.expire(on.now);
  REQUIRE(late.size() == 1);
  CHECK(late[0].first == 2);
  CHECK(late[0].second.fault.code == errc::rate_limited);
  CHECK(late[0].second.headers.find("retry-after"));
  CHECK(on.book.next_expiry() == on.now + 5s);
  on.now += 5s;
  late = on.book.expire(on.now);
  REQUIRE(late.size() == 1);
  CHECK(late[0].first == 4);
  CHECK(late[0].second.fault.code == errc::overloaded);
  CHECK(late[0].second.fault.detail == "QUEUE_TIMEOUT");
  CHECK(on.book.waiting() == 0);
  CHECK(on.book.in_use() == 2);
}

TEST_CASE("admission: rpm allows a full minute's worth at once, and then an even rate", "[unit][admission]") {
  desk on{{}};
  const auto a = rules_of("a", 0, 6);
  for (admission_book::ticket i = 0; i < 6; ++i) CHECK(on.ask(i, a) == answer::granted);
  CHECK(on.ask(7, a) == answer::refused);
  CHECK(on.last.fault.code == errc::rate_limited);
  CHECK(on.last.fault.message == "This key is at its limit of 6 requests per minute.");
  CHECK(on.header("retry-after") == "10");
  CHECK(on.header("x-ratelimit-limit-requests") == "6");
  CHECK(on.header("x-ratelimit-remaining-requests") == "0");
  CHECK(on.header("x-ratelimit-reset-requests") == "1m0s");
  CHECK(on.header("x-ratelimit-limit-tokens") == "none");
  on.now += 9999ms;
  CHECK(on.ask(7, a) == answer::refused);
  CHECK(on.header("retry-after") == "1");
  on.now += 1ms;
  CHECK(on.ask(7, a) == answer::granted);
  CHECK(on.ask(8, a) == answer::refused);
  on.now += 1h;
  for (admission_book::ticket i = 10; i < 16; ++i) CHECK(on.ask(i, a) == answer::granted);
  CHECK(on.ask(17, a) == answer::refused);
}

TEST_CASE("admission: tpm is charged when a request ends, even beyond the limit", "[unit][admission]") {
  desk on{{}};
  const auto a = rules_of("a", 0, 0, 600);
  CHECK(on.ask(1, a) == answer::granted);
  on.book.spent(a, 899, on.now);
  CHECK(on.ask(2, a) == answer::refused);
  CHECK(on.last.fault.message == "This key is at its limit of 600 tokens per minute.");
  CHECK(on.header("retry-after") == "30");  // 300 tokens at 10 a second
  CHECK(on.header("x-ratelimit-limit-tokens") == "600");
  CHECK(on.header("x-ratelimit-remaining-tokens") == "0");
  CHECK(on.header("x-ratelimit-reset-tokens") == "1m30s");
  CHECK(on.header("x-ratelimit-limit-requests") == "none");
  on.now += 30s;
  CHECK(on.ask(2, a) == answer::granted);
  on.book.spent(rules_of("unknown"), 1, on.now);
}

TEST_CASE("admission: neither a request that left the queue nor one that was refused counts for rpm",
          "[unit][admission]") {
  desk on{{1, 1, 10s}};
  const auto a = rules_of("a", 0, 3);
  CHECK(on.ask(1, a) == answer::granted);
  CHECK(on.ask(2, a) == answer::queued);
  CHECK(on.ask(3, a) == answer::refused);
  CHECK(on.last.fault.code == errc::overloaded);
  CHECK(on.header("x-ratelimit-remaining-requests") == "1");
  on.book.leave(2, on.now);
  CHECK(on.ask(4, a) == answer::queued);
  on.now += 10s;
  CHECK(on.book.expire(on.now).size() == 1);
  CHECK(on.ask(5, a) == answer::queued);
}

TEST_CASE("admission: a request that calls no model takes a slot, but nothing of rpm and tpm",
          "[unit][admission]") {
  desk on{{0, 1, 10s}};
  const auto rules = rules_of("a", 1, 2, 5);
  const auto count = [&](admission_book::ticket who) {
    return on.book.ask(who, rules, on.now, request_cost::slot_only).what;
  };
  for (admission_book::ticket who = 1; who <= 5; ++who) {
    CHECK(count(who) == answer::granted);
    on.free("a");
  }
  // If such a request waits and then leaves or is refused, it gives nothing back, because it took nothing.
  CHECK(on.ask(6, rules) == answer::granted);
  CHECK(count(7) == answer::queued);
  CHECK(count(8) == answer::refused);
  on.book.leave(7, on.now);
  CHECK(count(9) == answer::queued);
  on.now += 10s;
  CHECK(on.book.expire(on.now).size() == 1);
  on.free("a");
  CHECK(on.ask(10, rules) == answer::granted);
  on.free("a");
  CHECK(on.ask(11, rules) == answer::refused);
  CHECK(on.header("x-ratelimit-remaining-requests") == "0");
  CHECK(count(12) == answer::granted);
  on.free("a");
  on.book.spent(rules, 5, on.now);
  on.now += 60s;
  on.book.spent(rules, 50, on.now);
  CHECK(on.ask(13, rules) == answer::refused);
  CHECK(count(14) == answer::granted);
}

TEST_CASE("admission: new limits of a name count from the next request, and what was used is kept",
          "[unit][admission]") {
  desk on{{}};
  for (admission_book::ticket i = 0; i < 4; ++i) CHECK(on.ask(i, rules_of("a", 0, 6)) == answer::granted);
  CHECK(on.ask(5, rules_of("a", 0, 5)) == answer::granted);
  CHECK(on.ask(6, rules_of("a", 0, 5)) == answer::refused);
  CHECK(on.ask(7, rules_of("a", 5)) == answer::refused);
  CHECK(on.ask(7, rules_of("a", 6)) == answer::granted);
  CHECK(on.ask(8, rules_of("a")) == answer::granted);
}

}  // namespace llm_proxy
