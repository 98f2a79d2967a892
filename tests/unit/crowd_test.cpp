#include "http/loop/crowd.hpp"

#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

struct crowd_stage {
  boost::asio::io_context io;
  deadlines timers{io};
  int left = 0;
  crowd people{timers, [this] { ++left; }};
};

}  // namespace

TEST_CASE("crowd: it is told that half of them have left, some time after the last one", "[unit][crowd]") {
  crowd_stage stage;
  stage.people.note(2000);
  stage.people.note(1001);
  stage.timers.advance(1h);
  CHECK(stage.left == 0);
  stage.people.note(1000);
  stage.timers.advance(1900ms);
  CHECK(stage.left == 0);
  SECTION("who has left") {
    stage.timers.advance(200ms);
    CHECK(stage.left == 1);
    stage.timers.advance(1h);
    CHECK(stage.left == 1);
  }
  SECTION("who is still leaving") {
    stage.people.note(500);
    stage.timers.advance(1900ms);
    CHECK(stage.left == 0);
    stage.timers.advance(200ms);
    CHECK(stage.left == 1);
  }
  SECTION("who comes again and leaves again") {
    stage.timers.advance(200ms);
    stage.people.note(3000);
    stage.people.note(1000);
    stage.timers.advance(3s);
    CHECK(stage.left == 2);
  }
}

TEST_CASE("crowd: a few are none", "[unit][crowd]") {
  crowd_stage stage;
  stage.people.note(crowd::few);
  stage.people.note(0);
  stage.timers.advance(1h);
  CHECK(stage.left == 0);
}

}  // namespace llm_proxy
