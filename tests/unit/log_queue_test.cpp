#include "config/log_queue.hpp"

#include "support/catch.hpp"

#include <string>
#include <thread>

namespace llm_proxy {

namespace {

std::size_t push(log_queue& queue, std::string_view text, std::size_t lines) {
  log_entry entry;
  entry.lines = lines;
  return queue.push(entry, text);
}

}  // namespace

TEST_CASE("log queue: when it is full the oldest entry goes, and its lines are counted", "[unit][logging]") {
  log_queue queue{3};
  CHECK(push(queue, "a", 10) == 0);
  CHECK(push(queue, "b", 1) == 0);
  CHECK(push(queue, std::string(5000, 'c'), 4) == 0);
  CHECK(queue.lines_waiting() == 15);
  CHECK(push(queue, "d", 2) == 10);
  CHECK(push(queue, "e", 1) == 1);
  CHECK(queue.lines_dropped() == 11);
  CHECK(queue.lines_waiting() == 7);
  log_entry taken;
  for (const auto& expected : {std::string(5000, 'c'), std::string{"d"}, std::string{"e"}}) {
    REQUIRE(queue.pop(taken));
    CHECK(taken.text == expected);
  }
  CHECK(queue.empty());
  CHECK(queue.lines_waiting() == 0);
  queue.close();
  CHECK_FALSE(queue.pop(taken));
}

TEST_CASE("log queue: a thread that waits gets the next entry, and is woken at the end", "[unit][logging]") {
  log_queue queue{2};
  std::string seen;
  std::thread reader{[&] {
    for (log_entry taken; queue.pop(taken);) seen += taken.text;
  }};
  for (const auto* text : {"1", "2", "3"}) {
    while (!queue.empty()) std::this_thread::yield();
    push(queue, text, 1);
  }
  queue.close();
  reader.join();
  CHECK(seen == "123");
}

}  // namespace llm_proxy
