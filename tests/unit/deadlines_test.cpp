#include "http/loop/deadlines.hpp"

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

/// Waits as a thread does, until nothing is queued.
void run(deadlines& all) {
  for (int wait = all.timeout_ms(); wait >= 0; wait = all.timeout_ms()) {
    std::this_thread::sleep_for(std::chrono::milliseconds{wait});
    all.run_due(steady_clock::now());
  }
}

}  // namespace

TEST_CASE("deadlines: they fire once, in the order they are due", "[unit][deadlines]") {
  deadlines all;
  std::string order;
  deadline late{all, [&] { order += 'c'; }};
  deadline early{all, [&] { order += 'a'; }};
  deadline middle{all, [&] { order += 'b'; }};
  late.expires_after(3ms);
  early.expires_after(1ms);
  middle.expires_after(2ms);
  CHECK(late.armed());
  run(all);
  CHECK(order == "abc");
  CHECK_FALSE(late.armed());
}

TEST_CASE("deadlines: one that is moved fires at the time that was set last", "[unit][deadlines]") {
  deadlines all;
  std::string order;
  deadline later{all, [&] { order += 'l'; }};
  deadline sooner{all, [&] { order += 's'; }};
  const auto begin = steady_clock::now();
  later.expires_after(1ms);
  sooner.expires_after(1h);
  later.expires_after(10ms);
  sooner.expires_after(5ms);
  run(all);
  CHECK(order == "sl");
  CHECK(steady_clock::now() - begin >= 10ms);
}

TEST_CASE("deadlines: a long one fires on time", "[unit][deadlines]") {
  deadlines all;
  int fired = 0;
  deadline entry{all, [&] { ++fired; }};
  for (const auto timeout : {steady_clock::duration{10s}, steady_clock::duration{1h}}) {
    all.advance(30min);
    entry.expires_after(timeout);
    CHECK(entry.left() <= timeout);
    CHECK(entry.left() > timeout - 1s);  // a busy machine may take up to a second for these lines
    const auto before = fired;
    all.advance(timeout - 1s);
    CHECK(fired == before);
    all.advance(1s);
    CHECK(fired == before + 1);
  }
}

TEST_CASE("deadlines: 0, cancel() and its destruction keep one from firing", "[unit][deadlines]") {
  deadlines all;
  int fired = 0;
  deadline off{all, [&] { ++fired; }};
  off.expires_after(1ms);
  off.expires_after(0ms);
  CHECK_FALSE(off.armed());
  deadline cancelled{all, [&] { ++fired; }};
  cancelled.expires_after(1ms);
  cancelled.cancel();
  auto gone = std::make_unique<deadline>(all, [&] { ++fired; });
  gone->expires_after(1ms);
  gone.reset();
  run(all);
  CHECK(fired == 0);
}

TEST_CASE("deadlines: one that fires may destroy itself, destroy others or set itself again",
          "[unit][deadlines]") {
  deadlines all;
  std::unique_ptr<deadline> other = std::make_unique<deadline>(all, [] { FAIL("was destroyed"); });
  std::unique_ptr<deadline> own;
  const auto end_both = [&] {
    other.reset();
    own.reset();
  };
  own = std::make_unique<deadline>(all, [&end_both] { end_both(); });
  int times = 0;
  std::unique_ptr<deadline> again;
  const auto set_again = [&] {
    if (++times < 3) again->expires_after(1ms);
  };
  again = std::make_unique<deadline>(all, [&set_again] { set_again(); });
  const auto due = steady_clock::now() + 1ms;
  own->expires_at(due);
  other->expires_at(due + 1us);
  again->expires_at(due + 2us);
  run(all);
  CHECK(times == 3);
  CHECK_FALSE(own);
}

TEST_CASE("deadlines: how long nothing is due is told in milliseconds, rounded up", "[unit][deadlines]") {
  deadlines all;
  CHECK(all.timeout_ms() == -1);
  deadline entry{all, [] {}};
  entry.expires_after(100us);
  CHECK(all.timeout_ms() <= 1);
  entry.expires_at(all.now() + 1h);
  all.advance(1s);  // the entry is looked at, and is found to be due later
  CHECK(all.timeout_ms() > 3'500'000);
  CHECK(all.timeout_ms() <= 3'600'000);
  entry.expires_at(all.now() - 1h);
  CHECK(all.timeout_ms() == 0);
  CHECK(all.run_due(steady_clock::now()) == 1);
  CHECK(all.timeout_ms() == -1);
  entry.expires_at(all.now() + 24h * 365);
  CHECK(all.timeout_ms() > 1'000'000'000);
}

TEST_CASE("deadlines: an exception at one does not keep the others from firing", "[unit][deadlines]") {
  deadlines all;
  int fired = 0;
  deadline first{all, [] { throw std::runtime_error{"of the first"}; }};
  deadline second{all, [&] { ++fired; }};
  first.expires_after(1ms);
  second.expires_after(2ms);
  std::this_thread::sleep_for(3ms);
  CHECK_THROWS(all.run_due(steady_clock::now()));
  CHECK(all.timeout_ms() == 0);
  all.run_due(steady_clock::now());
  CHECK(fired == 1);
}

}  // namespace llm_proxy
