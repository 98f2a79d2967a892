#include "actors/service/background_reader.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <poll.h>

namespace llm_proxy {

namespace {

/// Lets reads end one by one. The threads that wait at it share it, because they may outlive the test.
struct turnstile {
  void pass() {
    std::unique_lock lock{changing};
    ++begun;
    changed.notify_all();
    changed.wait(lock, [this] { return open > 0; });
    --open;
  }
  void let_one() {
    const std::lock_guard lock{changing};
    ++open;
    changed.notify_all();
  }
  void wait_begun(int how_many) {
    std::unique_lock lock{changing};
    changed.wait(lock, [&] { return begun >= how_many; });
  }
  std::mutex changing;
  std::condition_variable changed;
  int open = 0;
  int begun = 0;
};

template <class Reader>
int wait_for(Reader& reader) {
  pollfd ready{reader.ready_descriptor(), POLLIN, 0};
  REQUIRE(::poll(&ready, 1, 10'000) == 1);
  const auto result = reader.take();
  REQUIRE(result);
  return *result;
}

}  // namespace

TEST_CASE("background reader: any number of requests during a read ask for exactly one more, with new input",
          "[unit][reload]") {
  const auto door = std::make_shared<turnstile>();
  const auto reads = std::make_shared<std::atomic<int>>(0);
  background_reader<int, int> reader{[door, reads](int input) {
    door->pass();
    ++*reads;
    return 10 * input;
  }};
  CHECK_FALSE(reader.reading());
  CHECK_FALSE(reader.take());
  for (int i = 0; i < 4; ++i) reader.request(1);
  door->wait_begun(1);
  CHECK(reader.reading());
  CHECK_FALSE(reader.take());
  CHECK_FALSE(reader.requested_again());  // not before the result of the first read has been taken
  door->let_one();
  CHECK(wait_for(reader) == 10);
  CHECK_FALSE(reader.reading());
  CHECK(reader.requested_again());
  CHECK_FALSE(reader.requested_again());
  reader.request(2);  // the second read, for the three requests that came during the first
  CHECK(reader.reading());
  door->let_one();
  CHECK(wait_for(reader) == 20);
  CHECK_FALSE(reader.reading());
  CHECK_FALSE(reader.requested_again());
  pollfd quiet{reader.ready_descriptor(), POLLIN, 0};
  CHECK(::poll(&quiet, 1, 50) == 0);
  CHECK(*reads == 2);
}

TEST_CASE("background reader: a read that never returns blocks nobody, not even its owner's destructor",
          "[unit][reload]") {
  const auto door = std::make_shared<turnstile>();
  {
    background_reader<int, int> reader{[door](int) {
      door->pass();
      return 0;
    }};
    reader.request(0);
    door->wait_begun(1);
    CHECK(reader.reading());
  }
  door->let_one();  // the read ends after its owner, and everything that it uses is still there
}

}  // namespace llm_proxy
