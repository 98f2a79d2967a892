#include "http/loop/crowd.hpp"

#include "support/catch.hpp"

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

struct crowd_stage {
  deadlines timers;
  int left = 0;
  crowd people{timers, [this] { ++left; }};
};

}  // namespace

TEST_CASE("crowd: it reports that half of its connections have left, some time after the last of them",
          "[unit][crowd]") {
  crowd_stage stage;
  stage.people.note(2000);
  stage.people.note(1001);
  stage.timers.advance(1h);
  CHECK(stage.left == 0);
  stage.people.note(1000);
  stage.timers.advance(1900ms);
  CHECK(stage.left == 0);
  SECTION("nobody leaves after that") {
    stage.timers.advance(200ms);
    CHECK(stage.left == 1);
    stage.timers.advance(1h);
    CHECK(stage.left == 1);
  }
  SECTION("others are still leaving") {
    stage.people.note(500);
    stage.timers.advance(1900ms);
    CHECK(stage.left == 0);
    stage.timers.advance(200ms);
    CHECK(stage.left == 1);
  }
  SECTION("they come again and leave again") {
    stage.timers.advance(200ms);
    stage.people.note(3000);
    stage.people.note(1000);
    stage.timers.advance(3s);
    CHECK(stage.left == 2);
  }
}

TEST_CASE("crowd: a few connections are not a crowd", "[unit][crowd]") {
  crowd_stage stage;
  stage.people.note(crowd::few);
  stage.people.note(0);
  stage.timers.advance(1h);
  CHECK(stage.left == 0);
}

}  // namespace llm_proxy
