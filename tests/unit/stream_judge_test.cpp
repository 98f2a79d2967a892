// What the judge does with bytes: which ones pass and which ones it holds, at every split.
#include "support/judged_stream.hpp"

#include <chrono>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::string_literals;

TEST_CASE("stream judge: whole events pass at once and uncopied, an event that has begun is held",
          "[stream_judge]") {
  stream_judge stream;
  const std::string two = delta("a") + delta("b");
  const auto passed = stream.feed(two);
  CHECK(passed.data() == two.data());
  CHECK(passed == two);
  CHECK(stream.held() == 0);
  const std::string one_and_half = delta("c") + "data: {\"ch";
  CHECK(stream.feed(one_and_half) == delta("c"));
  CHECK(stream.held() == 10);
  CHECK(stream.feed("oices\":[]}\n") == "");
  CHECK(stream.held() == 21);
  CHECK(stream.feed("\ndata") == "data: {\"choices\":[]}\n\n");
  CHECK(stream.held() == 4);
  CHECK(stream.events() == 4);
  CHECK(stream.feed("") == "");
}

TEST_CASE("stream judge: bytes are the same at every split, whatever the line ends", "[stream_judge]") {
  check_at_every_split(delta("a") + chunk("0", "\"stop\"") + done, "complete done events=3");
  check_at_every_split("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\r\n\r\ndata:[DONE]\r\n\r\n",
                       "complete done events=2");
  check_at_every_split("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\r\rdata: [DONE]\r\r",
                       "complete done events=2");
  check_at_every_split(
      "\xEF\xBB\xBF: hello\n\nid: 7\nretry: 10\nfoo\ndata: {\"choices\":[\ndata: "
      "{\"finish_reason\":\r\ndata: \"stop\"}]}\n\n",
      "complete events=1");
  check_at_every_split(delta("\xE4\xBD\xA0\xF0\x9F\x98\x80 \\\"finish_reason\\\":\\\"stop\\\"") + done,
                       "complete done events=2");
}

TEST_CASE("stream judge: comments pass when their line is complete and never count", "[stream_judge]") {
  run r;
  CHECK(r.feed(": keep").out == "");
  CHECK(r.feed("-alive\n").out == ": keep-alive\n");
  CHECK(r.feed("\n: two\n\n").out == ": keep-alive\n\n: two\n\n");
  CHECK(r.stream.events() == 0);
  CHECK(r.stream.progress() == 0);
  CHECK(r.stream.held() == 0);
  r.feed("data: {}\n: inside\n");
  CHECK(r.stream.held() == 18);
  CHECK(r.stream.progress() > 0);
  r.feed("\n");
  CHECK(r.stream.held() == 0);
  CHECK(r.stream.events() == 1);
  const auto before = r.stream.progress();
  r.feed(": x\n\nevent: ping\n\nid: 3\n\n\n\n");
  CHECK(r.stream.progress() == before);
  CHECK(r.stream.events() == 1);
  CHECK(r.stream.held() == 0);
}

TEST_CASE("stream judge: complete by [DONE], by an error, or by a reason for every choice seen",
          "[stream_judge]") {
  check_at_every_split(delta("a"), "open events=1");
  check_at_every_split(": only comments\n\n", "open events=0");
  check_at_every_split("", "open events=0");
  check_at_every_split(done, "complete done events=1");
  check_at_every_split("data:[DONE]\n\n", "complete done events=1");
  check_at_every_split("data: [DONE] \n\n", "complete done events=1");
  check_at_every_split(
      "data: DONE\n\ndata:  [DONE]\n\ndata: [DON\ndata: E]\n\ndata: [DONE\n\n: [DONE]\n\nid: [DONE]\n\n",
      "open events=4");
  check_at_every_split(chunk("0", "\"stop\""), "complete events=1");
  check_at_every_split(chunk("0", "\"stop\"") + chunk("1", "null"), "open events=2");
  check_at_every_split(
      chunk("1", "\"length\"") + chunk("0", "null") + chunk("0", "\"stop\"") + chunk("0", "null"),
      "complete events=4");
  check_at_every_split(event(R"({"choices":[{"index":1,"finish_reason":"stop"},{"finish_reason":null}]})"),
                       "open events=1");
  check_at_every_split(event(R"({"choices":[{"index":1,"finish_reason":"stop"},{"finish_reason":"stop"}]})"),
                       "complete events=1");
  check_at_every_split(event(R"({"choices":[]})"), "open events=1");
}

TEST_CASE("stream judge: a choice without index is the first, one with a strange index waits for [DONE]",
          "[stream_judge]") {
  check_at_every_split(chunk("0", "null") + event(R"({"choices":[{"finish_reason":"stop"}]})"),
                       "complete events=2");
  check_at_every_split(chunk("null", "\"stop\""), "complete events=1");
  check_at_every_split(chunk("0.0", "\"stop\""), "complete events=1");
  check_at_every_split(chunk("127", "\"stop\"") + chunk("64", "\"stop\""), "complete events=2");
  check_at_every_split(chunk("127", "\"stop\"") + chunk("63", "null"), "open events=2");
  for (const auto* index : {"128", "-1", "1.5", "\"0\"", "1e300", "18446744073709551616"}) {
    check_at_every_split(chunk(index, "\"stop\""), "open events=1");
  }
  check_at_every_split(chunk("128", "\"stop\"") + done, "complete done events=2");
}

TEST_CASE("stream judge: only a choices[].finish_reason with a value finishes a choice", "[stream_judge]") {
  for (const auto* data : {
           R"({"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""},"finish_reason":null}]})",
           R"({"choices":[{"delta":{"finish_reason":"stop"}}]})",
           R"({"finish_reason":"stop","choices":[{"index":0}]})",
           R"({"x":[{"finish_reason":"stop"}],"choices":[{"index":0}]})",
           R"({"choices":{"finish_reason":"stop"}})",
           R"({"choices":{"a":{"finish_reason":"stop"}}})",
           R"({"choices":[[{"finish_reason":"stop"}]]})",
           R"({"choices":[{"finish_reason":""}]})",
           R"({"choices":[{"finish_reason":"stop","finish_reason":null}]})",
           R"({"choices":[{"finish_reason":"stop"}],"choices":[{"finish_reason":null}]})",
           R"({"choices":[{"finish_reason":"stop"}],"choices":null})",
           R"([{"choices":[{"finish_reason":"stop"}]}])",
           R"("choices finish_reason stop")",
           R"({"choices":[{"finish_reason":"stop"}])",
           R"({"choices":[{"finish_reason":"stop"}]}})",
           R"({"choices":[{"finish_reason":"st)"
           "\xFF"
           R"(op"}]})",
           R"({"choices":[{"finish_reasons":"stop"}]})",
       }) {
    check_at_every_split(event(data), "open events=1");
    check_at_every_split(delta("a") + event(data),
                         "open events=2");  // in a stream that has begun, the chunk filter looks first
  }
  check_at_every_split(event(R"({"choices":[{"finish_r\u0065ason":"stop"}]})"), "complete events=1");
  check_at_every_split(event(R"({"choices":[{"finish_reason":null,"finish_reason":"stop"}]})"),
                       "complete events=1");
  check_at_every_split(event(R"({"choices":null,"choices":[{"finish_reason":"stop"}]})"),
                       "complete events=1");
}

TEST_CASE("stream judge: an event is an error by its name or by an error in its data", "[stream_judge]") {
  check_at_every_split(event(R"({"error":{"message":"x","code":"500"}})"), "complete error events=1");
  check_at_every_split("event: error\ndata: whatever\n\n", "complete error events=1");
  check_at_every_split("event:error\r\ndata: {}\r\n\r\n", "complete error events=1");
  check_at_every_split(event(R"({"error":null})") + event(R"({"error":""})") + event(R"({"error":false})"),
                       "open events=3");
  check_at_every_split(event(R"({"x":{"error":{}}})") + event(R"({"error":{}, "error":null})"),
                       "open events=2");
  check_at_every_split(event(R"({"error":{"message":"x"})"), "open events=1");
  check_at_every_split(
      "event: errors\ndata: {}\n\nevent: erro\ndata: {}\n\nevent: error\nevent: x\ndata: {}\n\nevent: "
      "error\n\ndata: {}\n\n",
      "open events=4");
}

TEST_CASE("stream judge: the model is the first one named, in each dialect, at any split", "[stream_judge]") {
  const std::string longest(47, 'm');
  const std::vector<std::tuple<dialect, std::string, std::string>> rows{
      {dialect::chat,
       event(R"({"model":"","choices":[]})") +
           event(R"({"choices":[{"index":0,"delta":{}}],"model":"gpt-4o-2024-08-06"})") +
           event(R"({"model":"another","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"),
       "gpt-4o-2024-08-06"},
      {dialect::anthropic,
       event(
           R"({"type":"message_start","message":{"id":"1","model":"claude-4","usage":{"input_tokens":1}}})"),
       "claude-4"},
      {dialect::responses, event(R"({"type":"response.created","response":{"model":"o3","output":[]}})"),
       "o3"},
      {dialect::chat, event(R"({"model":"a\u00e4\"b","choices":[{"index":0}]})"), "a\xC3\xA4\"b"},
      {dialect::chat, event(R"({"model":")" + longest + R"(","choices":[]})"), longest},
      // A name that is too long for the scanner is cut by it, and so it is not used.
      {dialect::chat, event(R"({"model":")" + longest + R"(m","choices":[]})"), ""},
      {dialect::chat, event(R"({"model":7,"choices":[{"index":0,"delta":{"model":"x"}}]})"), ""},
      {dialect::anthropic, event(R"({"type":"x","message":{"content":{"model":"x"},"model":null}})"), ""},
  };
  for (const auto& [speaks, text, model] : rows) {
    INFO(text);
    for (std::size_t at = 0; at <= text.size(); ++at) {
      stream_judge stream{speaks};
      stream.feed(std::string_view{text}.substr(0, at));
      stream.feed(std::string_view{text}.substr(at));
      REQUIRE(stream.model == model);
    }
  }
}

TEST_CASE("stream judge: usage is the last that was not null", "[stream_judge]") {
  check_at_every_split(event(R"({"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})") +
                           event(R"({"usage":null})"),
                       "open events=2 usage=1+2");
  check_at_every_split(event(R"({"usage":{"prompt_tokens":1,"completion_tokens":2}})") +
                           event(R"({"usage":{"input_tokens":30.0,"output_tokens":4e1}})"),
                       "open events=2 usage=30+40");
  check_at_every_split(
      event(R"({"usage":{"prompt_tokens":"1","completion_tokens":null,"details":{"prompt_tokens":7}}})"),
      "open events=1");
  check_at_every_split(event(R"({"x":{"usage":{"prompt_tokens":1}}})") +
                           event(R"({"usage":[{"prompt_tokens":1}]})") +
                           event(R"({"usage":{"prompt_tokens":-1}})"),
                       "open events=3");
}

TEST_CASE("stream judge: data that is not JSON passes and counts", "[stream_judge]") {
  check_at_every_split("data: hello\n\ndata: {{{\n\ndata:\n\ndata\n\n", "open events=4");
}

TEST_CASE("stream judge: what follows [DONE] passes", "[stream_judge]") {
  check_at_every_split(done + delta("x") + ": bye\n\n", "complete done events=2");
  check_at_every_split(done + "\n\n: ", "complete done events=1");
}

TEST_CASE("stream judge: a last event without its blank line counts when it is whole, a half one is dropped",
          "[stream_judge]") {
  check_at_every_split(delta("a") + "data: [DONE]\n", "complete done events=2");
  check_at_every_split(delta("a") + "data: [DONE]", "complete done events=2");
  check_at_every_split("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}", "complete events=1");
  check_at_every_split("data: {\"error\":{}}\r\n", "complete error events=1");
  check_at_every_split(delta("a") + "data: [DONE", "open events=1", "data: [DONE");
  check_at_every_split(delta("a") + "data: {\"choices\":[{\"finish_reason\":\"stop\"}]", "open events=1",
                       "data: {\"choices\":[{\"finish_reason\":\"stop\"}]");
  check_at_every_split("event: error\ndata: {\"a", "open events=0", "event: error\ndata: {\"a");
  check_at_every_split(delta("a") + "data: {\"choices\":[]}", "open events=2", "data: {\"choices\":[]}");
}

TEST_CASE("stream judge: the chunk filter misses no chunk that matters", "[stream_judge]") {
  const auto begun = delta("a");
  for (const auto* finish :
       {R"({"choices":[{"index":0,"finish_reason":"stop"}]})", R"({"choices":[{"finish_reason" : "stop"}]})",
        R"({"choices":[{"finish_reason":  "stop"}]})",
        R"({ "choices" : [ { "index" : 0 , "finish_reason": "stop" } ] })",
        R"({"choices":[{"\u0066inish_reason":"stop"}]})", R"({"ch\u006fices":[{"finish_reason":"stop"}]})",
        R"({"choices":[{"finish_reason":null,"finish_reason":"stop"}]})"}) {
    check_at_every_split(begun + event(finish), "complete events=2");
  }
  for (const auto* other :
       {R"({"choices":[{"index":1}]})", R"({"choices":[{"index": 10}]})", R"({"choices":[{"\u0069ndex":1}]})",
        R"({"choices":[{"index":0,"index":1}]})", R"({"choices":[{"index":1e0}]})",
        R"({"choices":[{"index":0},{"index":200}]})", R"({"choices":[{"index":"0"}]})"}) {
    check_at_every_split(begun + event(other) + chunk("0", "\"stop\""), "open events=3");
  }
  check_at_every_split(
      begun + event(R"({"choices":[{"index":0}],"usage":null})") + event(R"({"usage":{"prompt_tokens":1}})"),
      "open events=3 usage=1+0");
  check_at_every_split(begun + event(R"({"error":{}})"), "complete error events=2");
  check_at_every_split(begun + event(R"({"\u0065rror":{}})"), "complete error events=2");
  check_at_every_split(begun + "event: error\ndata: {\"choices\":[]}\n\n", "complete error events=2");
  check_at_every_split(begun + "data: {\"choices\":[{\"finish_reason\":\ndata: \"stop\"}]}\n\n",
                       "complete events=2");
  check_at_every_split(begun + "data: {\"choices\":[{\r\ndata: \"finish_reason\":\"stop\"}]}\r\n\r\n",
                       "complete events=2");
}

TEST_CASE("stream judge: mutated chunks are judged alike whole and byte by byte", "[stream_judge]") {
  std::mt19937 random{11};
  const auto pick = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  const std::string bytes = "{}[]\",: \n\r\\u0nl1e";
  const std::vector<std::string> chunks{
      delta("word"),
      chunk("0", "null"),
      chunk("1", "null"),
      chunk("0", "\"stop\""),
      event(
          R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1}]},"finish_reason": null}],"usage": null,"error":null})"),
      event(R"({"usage":{"prompt_tokens":3},"\u0065rror":null})")};
  for (int round = 0; round != 20'000; ++round) {
    std::string stream = delta("a");
    for (auto count = pick(3) + 1; count != 0; --count) stream += chunks[pick(chunks.size())];
    for (auto changes = pick(4); changes != 0; --changes) {
      const auto at = pick(stream.size());
      switch (pick(3)) {
        case 0:
          stream[at] = bytes[pick(bytes.size())];
          break;
        case 1:
          stream.erase(at, 1);
          break;
        default:
          stream.insert(at, 1, bytes[pick(bytes.size())]);
          break;
      }
    }
    run whole;
    whole.feed(stream).finish();
    run single;
    for (const char byte : stream) single.feed({&byte, 1});
    single.finish();
    if (state(whole.stream) == state(single.stream) && whole.stream.progress() == single.stream.progress() &&
        whole.out + whole.last == single.out + single.last)
      continue;
    CAPTURE(stream);
    CHECK(state(whole.stream) == state(single.stream));
    CHECK(whole.stream.progress() == single.stream.progress());
    CHECK(whole.out + whole.last == single.out + single.last);
  }
}

TEST_CASE("stream judge: an event over 16 KiB passes in pieces and is understood", "[stream_judge]") {
  std::string big = R"(data: {"choices":[{"index":0,"delta":{"content":")";
  while (big.size() < 2 * 1024 * 1024) big += "some words \\n\xE4\xBD\xA0 ";
  big += R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":12345,"completion_tokens":6}})";
  for (const std::size_t piece : {1'000U, 4'096U, 16'383U, 16'385U, 65'536U}) {
    CAPTURE(piece);
    run r;
    std::uint64_t progress = 0;
    for (std::size_t at = 0; at < big.size(); at += piece) {
      r.feed(std::string_view{big}.substr(at, piece));
      REQUIRE(r.stream.held() <= stream_judge::whole_event_limit);
      REQUIRE(r.out.size() + r.stream.held() == std::min(at + piece, big.size()));
      REQUIRE(r.stream.progress() > progress);
      progress = r.stream.progress();
    }
    CHECK(r.stream.inside_event());
    CHECK(r.stream.held() == 0);
    CHECK(r.stream.events() == 0);
    CHECK_FALSE(r.stream.complete());
    r.feed("\n");
    CHECK(r.stream.inside_event());
    r.feed("\n");
    CHECK(state(r.stream) == "complete events=1 usage=12345+6");
    CHECK(r.out == big + "\n\n");
    r.feed("data: {");
    CHECK(r.stream.held() == 7);
  }
  run unended;
  CHECK(state(unended.feed(big).finish().stream) == "complete events=1 usage=12345+6");
  CHECK(unended.out == big);
  run cut;
  CHECK(state(cut.feed(std::string_view{big}.substr(0, 100'000)).finish().stream) == "open inside events=0");
  CHECK(cut.out.size() == 100'000);
}

TEST_CASE("stream judge: the limit of what is held is exact", "[stream_judge]") {
  run r;
  std::string begun = "data: " + std::string(stream_judge::whole_event_limit - 6, 'x');
  CHECK(r.feed(begun).out.empty());
  CHECK(r.stream.held() == stream_judge::whole_event_limit);
  CHECK(r.feed("x").out == begun + "x");
  CHECK(r.stream.inside_event());
  CHECK(r.feed("y\n\n: c\n\ndata").out == begun + "xy\n\n: c\n\n");
  CHECK_FALSE(r.stream.inside_event());
  CHECK(r.stream.held() == 4);
  run two;
  CHECK(two.feed(delta("a") + begun + "x").out == delta("a") + begun + "x");
  CHECK(two.stream.inside_event());
}

TEST_CASE("stream judge: an endless comment or deep nesting takes no memory", "[stream_judge]") {
  run r;
  for (int i = 0; i != 100; ++i) r.feed(i == 0 ? ":" + std::string(1'000, 'x') : std::string(1'000, 'x'));
  CHECK(r.stream.held() <= stream_judge::whole_event_limit);
  CHECK(r.stream.progress() == 0);
  CHECK(r.feed("\n").out.size() == 100'002);
  CHECK_FALSE(r.stream.inside_event());
  check_at_every_split(event(std::string(300, '[')), "open events=1");
  run deep;
  deep.feed("data: ").feed(std::string(10'000'000, '[')).feed("\n\n").feed(chunk("0", "\"stop\""));
  CHECK(state(deep.stream) == "complete events=2");
}

TEST_CASE("stream judge: an open stream is small", "[stream_judge]") {
  CHECK(sizeof(stream_judge) < 600);
}

TEST_CASE("stream judge: random cuts of a long stream give the same bytes and the same end",
          "[stream_judge]") {
  std::string bytes;
  for (int i = 0; i != 50; ++i)
    bytes += delta("word " + std::to_string(i)) + ": ping\r\n\r\n" +
             delta(std::string(static_cast<std::size_t>(i) * 60, 'x'));
  bytes += delta(std::string(40'000, 'y')) + chunk("0", "\"stop\"") +
           event(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}})") + done;
  std::mt19937 random{3};
  for (int round = 0; round != 300; ++round) {
    run r;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto size = random() % (round % 2 == 0 ? 300 : 20'000) + 1;
      r.feed(std::string_view{bytes}.substr(at, size));
      if (random() % 4 == 0) r.stream.release();
      at += size;
    }
    REQUIRE(r.out == bytes);
    REQUIRE(state(r.stream) == "complete done events=104 usage=5+6");
  }
}
