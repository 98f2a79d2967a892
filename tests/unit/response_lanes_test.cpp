#include "http/websocket/response_lanes.hpp"

#include "http/json/json_scanner.hpp"
#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

/// Keeps what the lanes want done.
class stage final : private lane_output {
 public:
  explicit stage(lane_limits limits = {1 << 20, 1 << 20}) : lanes{limits, *this} {}

  /// Returns the messages since the last call.
  std::vector<std::string> sent() { return std::exchange(sent_, {}); }
  /// Returns the one message since the last call; "" if there is none or more than one.
  std::string message() {
    const auto all = sent();
    return all.size() == 1 ? all.front() : std::string{};
  }
  /// Answers a response in full, with one message as its output, and returns what was sent for it.
  std::vector<std::string> answer(std::uint64_t number, const std::string& id, const std::string& text) {
    const auto item = R"({"type":"message","id":"msg_)" + id + R"(","content":")" + text + R"("})";
    lanes.take_event(number, R"({"type":"response.created","response":{"id":")" + id + R"("}})");
    lanes.take_event(number, R"({"type":"response.output_item.done","item":)" + item + "}");
    lanes.take_event(
        number, R"({"type":"response.completed","response":{"id":")" + id + R"(","output":[)" + item + "]}}");
    lanes.end(number);
    return sent();
  }

  response_lanes lanes;
  std::vector<std::pair<std::uint64_t, std::string>> posted;
  std::size_t too_large = 0;

 private:
  void send(std::string&& message) override {
    CHECK(is_json_object(message));
    sent_.push_back(std::move(message));
  }
  void post(std::uint64_t number, std::string&& body) override {
    CHECK(is_json_object(body));
    posted.emplace_back(number, std::move(body));
  }

  void note_too_large(std::size_t bytes) override { too_large = bytes; }

  std::vector<std::string> sent_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("response lanes: a response.create is posted without what only a WebSocket has",
          "[unit][websocket]") {
  stage it;
  it.lanes.take(
      R"({"type":"response.create","model":"m","stream":false,"input":"hi","stream_id":"a",)"
      R"("a name of more than forty-eight bytes, which the scanner cuts":1,"metadata":{"type":"x"}})");
  REQUIRE(it.posted.size() == 1);
  CHECK(it.posted[0].second ==
        R"({"model":"m","input":"hi","a name of more than forty-eight bytes, which the scanner cuts":1,)"
        R"("metadata":{"type":"x"},"stream":true})");
  CHECK(it.sent().empty());
  CHECK_FALSE(it.lanes.is_idle());
}

TEST_CASE("response lanes: events pass as they are, and get the name of their lane", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","model":"m"})");
  it.lanes.take(R"({"type":"response.create","model":"m","stream_id":"a.b-c_9"})");
  REQUIRE(it.posted.size() == 2);
  it.lanes.take_event(it.posted[0].first, R"({ "type":"response.created", "x":1})");
  CHECK(it.message() == R"({ "type":"response.created", "x":1})");
  it.lanes.take_event(it.posted[1].first, R"({ "type":"response.created", "x":1})");
  CHECK(it.message() == R"({"stream_id":"a.b-c_9", "type":"response.created", "x":1})");
  it.lanes.take_event(it.posted[1].first, "{}");
  CHECK(it.message() == R"({"stream_id":"a.b-c_9"})");
  for (const std::string_view other : {"[DONE]", "", "{", "7", "not JSON"})
    it.lanes.take_event(it.posted[1].first, other);
  CHECK(it.sent().empty());
}

TEST_CASE("response lanes: with store false a continuation is posted with everything before it",
          "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","model":"m","store":false,"input":"one"})");
  CHECK(it.answer(1, "r1", "two").size() == 3);
  it.lanes.take(R"({"type":"response.create","model":"m","store":false,"previous_response_id":"r1",)"
                R"("input":[ {"type":"function_call_output","output":"three"} ]})");
  REQUIRE(it.posted.size() == 2);
  CHECK(
      it.posted[1].second ==
      R"({"model":"m","store":false,"input":[{"type":"message","role":"user","content":"one"},)"
      R"({"type":"message","id":"msg_r1","content":"two"},{"type":"function_call_output","output":"three"}],)"
      R"("stream":true})");
  it.answer(2, "r2", "four");
  // The delta may be empty, and only the lane's latest response is remembered.
  it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r2","input":[]})");
  REQUIRE(it.posted.size() == 3);
  CHECK(has(it.posted[2].second, R"("content":"four"}],"stream":true)"));
  it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r1","stream_id":"b"})");
  const auto error = it.message();
  CHECK(has(error, R"("type":"error","status":400)"));
  CHECK(has(error, R"("code":"previous_response_not_found")"));
  CHECK(has(error, R"("stream_id":"b")"));
}

TEST_CASE("response lanes: with store true the id goes upstream", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","model":"m","input":"one"})");
  it.answer(1, "r1", "two");
  it.lanes.take(R"({"type":"response.create","previous_response_id":"r1","input":"three"})");
  REQUIRE(it.posted.size() == 2);
  CHECK(it.posted[1].second == R"({"previous_response_id":"r1","input":"three","stream":true})");
  it.answer(2, "r2", "four");
  // What is not stored goes on from what is stored.
  it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r2","input":"five"})");
  REQUIRE(it.posted.size() == 3);
  CHECK(has(it.posted[2].second, R"("previous_response_id":"r1")"));
  CHECK_FALSE(has(it.posted[2].second, "one"));
  CHECK(has(it.posted[2].second, "three"));
  CHECK(has(it.posted[2].second, "four"));
  // An id that the connection does not know may be known upstream.
  it.lanes.take(R"({"type":"response.create","stream_id":"b","previous_response_id":"other"})");
  REQUIRE(it.posted.size() == 4);
  CHECK(it.posted[3].second == R"({"previous_response_id":"other","stream":true})");
}

TEST_CASE("response lanes: the output is also taken from the events before the last", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","store":false,"input":"one"})");
  it.lanes.take_event(1, R"({"type":"response.output_item.done","item":{"type":"reasoning","id":"rs"}})");
  it.lanes.take_event(1, R"({"type":"response.output_item.done","item":{"type":"custom_tool_call"}})");
  it.lanes.take_event(1, R"({"type":"response.completed","response":{"id":"r1","output":[]}})");
  it.lanes.end(1);
  it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r1","input":[]})");
  CHECK(has(it.posted[1].second, R"(,{"type":"reasoning","id":"rs"},{"type":"custom_tool_call"}],)"));
}

TEST_CASE("response lanes: a failed turn forgets what it continued, a failed fork does not",
          "[unit][websocket]") {
  const std::string next =
      R"({"type":"response.create","store":false,"previous_response_id":"r1","input":"x")";
  stage it;
  it.lanes.take(R"({"type":"response.create","store":false,"input":"one"})");
  it.answer(1, "r1", "two");

  it.lanes.take(next + R"(,"stream_id":"fork"})");
  it.lanes.take_error(2, 500, R"({"error":{"message":"no","type":"t","code":"c"}})",
                      R"({"retry-after":"7"})");
  it.lanes.end(2);
  CHECK(it.message() ==
        R"({"stream_id":"fork","type":"error","status":500,"error":{"message":"no","type":"t","code":"c",)"
        R"("headers":{"retry-after":"7"}},"headers":{"retry-after":"7"}})");

  it.lanes.take(next + "}");
  CHECK(it.posted.size() == 3);
  it.lanes.take_event(3, R"({"type":"response.failed","response":{"id":"r2"}})");
  it.lanes.end(3);
  it.sent();
  it.lanes.take(next + "}");
  CHECK(it.posted.size() == 3);
  CHECK(has(it.message(), "previous_response_not_found"));
}

TEST_CASE("response lanes: an error event gets a status, and an answer that breaks off an error",
          "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create"})");
  it.lanes.take_event(1, R"({"type":"error","code":"rate_limit_exceeded","message":"slow down",)"
                         R"("param":null,"sequence_number":3})");
  const auto told = it.message();
  CHECK(has(told, R"("status":429,)"));
  CHECK(has(told, R"("message":"slow down")"));
  CHECK(has(told, R"("sequence_number":3)"));
  it.lanes.end(1);
  CHECK(it.sent().empty());
  for (const auto& [code, status] : {std::pair{"drained", 503}, {"upstream_timeout", 504}, {"odd", 502}}) {
    it.lanes.take(R"({"type":"response.create"})");
    const auto number = it.posted.back().first;
    it.lanes.take_event(number, R"({"type":"error","code":")" + std::string{code} + R"(","message":"m"})");
    it.lanes.end(number);
    CHECK(has(it.message(), R"("status":)" + std::to_string(status) + ','));
  }

  it.lanes.take(R"({"type":"response.create"})");
  it.lanes.take_event(it.posted.back().first, R"({"type":"response.created","response":{"id":"r"}})");
  it.sent();
  it.lanes.end(it.posted.back().first);
  const auto cut = it.message();
  CHECK(has(cut, R"("status":502)"));
  CHECK(has(cut, R"("code":"upstream_disconnected")"));
  CHECK(it.lanes.is_idle());
}

TEST_CASE("response lanes: a warm-up asks no model and can be continued", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","model":"m","generate":false,"stream_id":"a","input":"one",)"
                R"("instructions":"i"})");
  CHECK(it.posted.empty());
  const auto events = it.sent();
  REQUIRE(events.size() == 3);
  CHECK(has(events[0], R"("type":"response.created")"));
  CHECK(has(events[2], R"("type":"response.completed")"));
  CHECK(has(events[2], R"("model":"m")"));
  for (const auto& each : events) CHECK(has(each, R"("stream_id":"a")"));
  const auto at = events[0].find(R"("id":"resp_)") + 6;
  const auto id = events[0].substr(at, events[0].find('"', at) - at);

  // No upstream knows the id, so it is expanded with store true as well.
  it.lanes.take(
      R"({"type":"response.create","model":"m","stream_id":"a","input":"two","previous_response_id":")" + id +
      "\"}");
  REQUIRE(it.posted.size() == 1);
  CHECK(it.posted[0].second == R"({"model":"m","input":[{"type":"message","role":"user","content":"one"},)"
                               R"({"type":"message","role":"user","content":"two"}],"stream":true})");
}

TEST_CASE("response lanes: a lane's responses run in order, 16 at once", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create","model":"a1","stream_id":"a"})");
  it.lanes.take(R"({"type":"response.create","model":"a2","stream_id":"a"})");
  it.lanes.take(R"({"type":"response.create","model":"a3","stream_id":"a"})");
  it.lanes.take(R"({"type":"response.create","model":"b1","stream_id":"b"})");
  REQUIRE(it.posted.size() == 2);
  CHECK(has(it.posted[1].second, "b1"));
  it.answer(1, "r1", "x");
  REQUIRE(it.posted.size() == 3);
  CHECK(has(it.posted[2].second, "a2"));

  for (int i = 0; i < 20; ++i)
    it.lanes.take(R"({"type":"response.create","model":"m","stream_id":"n)" + std::to_string(i) + "\"}");
  CHECK(it.posted.size() == 3 + response_lanes::most_running - 2);
  const auto last = it.posted.back().first;
  it.answer(last, "r", "x");
  CHECK(it.posted.back().first == last + 1);
}

TEST_CASE("response lanes: names, waiting messages and memory are limited", "[unit][websocket]") {
  SECTION("names") {
    stage it;
    for (std::size_t i = 0; i < response_lanes::most_names; ++i) {
      it.lanes.take(R"({"type":"response.create","generate":false,"stream_id":"n)" + std::to_string(i) +
                    "\"}");
    }
    it.sent();
    it.lanes.take(R"({"type":"response.create","generate":false,"stream_id":"one-more"})");
    CHECK(has(it.message(), R"("code":"websocket_stream_limit_reached")"));
    it.lanes.take(R"({"type":"response.create","generate":false,"stream_id":"n3"})");
    CHECK(it.sent().size() == 3);
    const std::string long_name = '"' + std::string(257, 'x') + '"';
    for (const std::string& name : {std::string{R"("")"}, std::string{R"("a b")"}, std::string{"7"},
                                    std::string{R"("ä")"}, long_name}) {
      it.lanes.take(R"({"type":"response.create","stream_id":)" + name + "}");
      const auto error = it.message();
      CHECK(has(error, R"("code":"invalid_stream_id")"));
      CHECK_FALSE(has(error, R"("stream_id":)"));
    }
  }
  SECTION("waiting messages") {
    stage it{{1 << 20, 100}};
    it.lanes.take(R"({"type":"response.create","model":"first"})");
    it.lanes.take(R"({"type":"response.create","model":"second"})");
    CHECK(it.sent().empty());
    it.lanes.take(R"({"type":"response.create","model":"third","input":")" + std::string(100, 'x') + "\"}");
    CHECK(has(it.message(), R"("code":"websocket_queue_full")"));
    it.answer(1, "r1", "x");
    CHECK(it.posted.size() == 2);
  }
  SECTION("memory") {
    stage it{{200, 1 << 20}};
    it.lanes.take(R"({"type":"response.create","store":false,"input":"one"})");
    it.answer(1, "r1", std::string(50, 'x'));
    CHECK(it.lanes.remembered_bytes() > 100);
    it.lanes.take(R"({"type":"response.create","store":false,"stream_id":"b","input":"one"})");
    it.answer(2, "r2", std::string(50, 'x'));
    CHECK(it.lanes.remembered_bytes() <= 200);
    it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r1"})");
    CHECK(has(it.message(), "previous_response_not_found"));
    it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r2"})");
    CHECK(it.posted.size() == 3);
    // One that is too large alone is not remembered, and neither is what came before it.
    CHECK(it.too_large == 0);
    it.answer(3, "r3", std::string(500, 'x'));
    CHECK(it.too_large > 500);
    it.lanes.take(R"({"type":"response.create","store":false,"previous_response_id":"r3"})");
    CHECK(has(it.message(), "previous_response_not_found"));
  }
}

TEST_CASE("response lanes: messages that are no request for a response are answered", "[unit][websocket]") {
  stage it;
  for (const std::string_view faulty : {"", "[]", "no JSON", R"({"type":"response.create")"}) {
    it.lanes.take(faulty);
    CHECK(has(it.message(), R"("status":400,"error":{"message":"The message is not a JSON object.")"));
  }
  for (const std::string_view unknown : {"{}", R"({"type":"response.cancel"})", R"({"type":7})"}) {
    it.lanes.take(unknown);
    CHECK(has(it.message(), R"("code":"unknown_message")"));
  }
  it.lanes.take(R"({"type":"response.processed","response_id":"r"})");
  CHECK(it.sent().empty());
  it.lanes.take(R"({"type":"response.steer","previous_response_id":"r1","input":[{"role":"user"}]})");
  const auto steer = it.message();
  CHECK(has(steer, R"("type":"response.steer.failed")"));
  CHECK(has(steer, R"("code":"steering_not_supported")"));
  CHECK(has(steer, R"("steer":{"previous_response_id":"r1","input":[{"role":"user"}]})"));
  it.lanes.take(R"({"type":"response.create","background":true})");
  CHECK(has(it.message(), R"("param":"background")"));
  CHECK(it.posted.empty());
}

TEST_CASE("response lanes: after refuse() nothing new begins", "[unit][websocket]") {
  stage it;
  it.lanes.take(R"({"type":"response.create"})");
  it.lanes.take(R"({"type":"response.create","stream_id":"a"})");
  it.lanes.take(R"({"type":"response.create","stream_id":"a"})");
  it.lanes.refuse({.code = errc::drained});
  CHECK(has(it.message(), R"({"stream_id":"a","type":"error","status":503)"));
  it.lanes.take(R"({"type":"response.create"})");
  CHECK(has(it.message(), R"("code":"drained")"));
  it.answer(1, "r1", "x");
  CHECK_FALSE(it.lanes.is_idle());
  it.answer(2, "r2", "x");
  CHECK(it.lanes.is_idle());
  CHECK(it.posted.size() == 2);
}

}  // namespace llm_proxy
