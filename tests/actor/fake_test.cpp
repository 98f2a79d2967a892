#include "adapters/fake/fake.hpp"

#include "support/actor_stage.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Records the messages that an adapter sends to its sink.
struct recording_sink {
  std::string text;
  int chunks = 0;
  int done = 0;
  std::size_t taken = 0;
  std::vector<failure> failed;
};

class fake_stage {
 public:
  explicit fake_stage(fake_script script)
      : adapter{stage.cast(spawn_on(stage.system(), stage.home(), fake, &stage.home(),
                                    fake_author{[script](const upstream_request&) { return script; }}))} {
    sink = stage.scripted<stream_sink>([this](stream_sink::pointer) {
      return stream_sink::behavior_type{
          [this](const stream_chunk& chunk) {
            got.text += chunk.data;
            got.chunks += chunk.data.empty() ? 0 : 1;
            got.done += chunk.done ? 1 : 0;
          },
          [this](const stream_failed& failed) { got.failed.push_back(failed.reason); },
          [this](const body_taken& taken) { got.taken += taken.bytes; }};
    });
  }

  auto open(std::size_t credit = credit_window) {
    auto request = std::make_shared<upstream_request>();
    return stage.ask<stream_head>(adapter, open_stream{7, request, sink, credit});
  }

  actor_stage stage;
  adapter_actor adapter;
  stream_sink sink;
  recording_sink got;
};

}  // namespace

TEST_CASE("fake: plays its script with its delays", "[actor][fake]") {
  fake_stage on{{500ms, 201, {}, {{0ms, "a"}, {1000ms, "b"}}, {}}};
  const auto head = on.open();
  CHECK(head->open());
  on.stage.advance(500ms);
  REQUIRE(head->value);
  CHECK(head->value->head.status == 201);
  CHECK(on.got.text == "a");
  on.stage.advance(800ms);
  CHECK(on.got.text == "a");
  on.stage.advance(200ms);
  CHECK(on.got.text == "ab");
  CHECK(on.got.done == 1);
}

TEST_CASE("fake: stops without credit and goes on with it", "[actor][fake]") {
  fake_stage on{{0ms, 200, {}, {{0ms, "abcdef"}, {0ms, "gh"}}, {}}};
  on.open(4);
  CHECK(on.got.text == "abcd");
  on.stage.tell(on.adapter, grant_credit{7, 3});
  CHECK(on.got.text == "abcdefg");
  CHECK(on.got.done == 0);
  on.stage.tell(on.adapter, grant_credit{8, 3});  // for another stream
  CHECK(on.got.text == "abcdefg");
  on.stage.tell(on.adapter, grant_credit{7, 1});
  CHECK(on.got.text == "abcdefgh");
  CHECK(on.got.done == 1);
}

TEST_CASE("fake: fails before its head, or after", "[actor][fake]") {
  const failure reason{.code = errc::upstream_unreachable, .message = "gone"};
  fake_stage before{{0ms, 200, {}, {}, reason}};
  CHECK(before.open()->code() == errc::upstream_unreachable);
  CHECK(before.got.failed.empty());
  fake_stage after{{0ms, 200, {}, {{0ms, "a"}}, reason}};
  CHECK(after.open()->value);
  REQUIRE(after.got.failed.size() == 1);
  CHECK(after.got.failed.front().message == "gone");
  CHECK(after.got.done == 0);
}

TEST_CASE("fake: a cancelled stream says nothing more", "[actor][fake]") {
  fake_stage on{{0ms, 200, {}, {{0ms, "a"}, {10ms, "b"}}, {}}};
  on.open();
  on.stage.tell(on.adapter, cancel_stream{7});
  on.stage.advance(20ms);
  CHECK(on.got.text == "a");
  CHECK(on.got.done == 0);
  CHECK(on.got.failed.empty());
}

TEST_CASE("fake: an adapter that dies tells its sessions", "[actor][fake]") {
  fake_stage streaming{{0ms, 200, {}, {{0ms, "a"}, {10ms, "b"}}, {}}};
  streaming.open();
  streaming.stage.kill(streaming.adapter);
  REQUIRE(streaming.got.failed.size() == 1);
  CHECK(streaming.got.failed.front().code == errc::internal);
  fake_stage waiting{{10ms, 200, {}, {{0ms, "a"}}, {}}};
  const auto head = waiting.open();
  waiting.stage.kill(waiting.adapter);
  CHECK(head->code() == errc::internal);
}

}  // namespace llm_proxy::test
