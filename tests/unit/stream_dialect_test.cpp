// What events mean to the judge in each dialect: ends, usage, errors and sequence numbers.
#include "support/judged_stream.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace llm_proxy;
using namespace llm_proxy::test;
using namespace std::string_literals;

namespace {

/// Feeds a stream in this dialect to a judge, in pieces of `step` bytes.
run read_in(dialect speaks, std::string_view bytes, std::size_t step) {
  run read{{}, {}, stream_judge{speaks}};
  for (std::size_t at = 0; at < bytes.size(); at += step) read.feed(bytes.substr(at, step));
  return read;
}

const std::string text_delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n";
const std::string message_stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const std::string output_delta =
    "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"delta\":\"x\"}\n\n";
const std::string completed = "data: {\"type\":\"response.completed\",\"sequence_number\":5}\n\n";

}  // namespace

TEST_CASE("stream judge: each dialect has its own end and its own way to report usage", "[stream_judge]") {
  const auto read = [](dialect speaks, std::string_view bytes) {
    std::string same;
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
      stream_judge stream{speaks};
      for (std::size_t at = 0; at < bytes.size(); at += step) stream.feed(bytes.substr(at, step));
      stream.finish();
      if (step > 1) CHECK(state(stream) == same);
      same = state(stream);
    }
    return same;
  };
  const std::string message_start =
      "event: message_start\ndata: "
      "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,"
      "\"output_tokens\":1}}}\n\n";
  const std::string message_delta =
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\n";
  CHECK(read(dialect::anthropic, message_start + message_delta) == "open events=2 usage=9+4");
  CHECK(read(dialect::anthropic,
             message_start + message_delta + "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") ==
        "complete done events=3 usage=9+4");
  CHECK(read(dialect::anthropic, "data: {\"type\":\"message_stop\"}\n\n") == "complete done events=1");
  CHECK(read(dialect::anthropic, "event: error\ndata: {\"type\":\"error\"}\n\n") ==
        "complete error events=1");
  CHECK(read(dialect::anthropic, "data: {\"type\":\"error\",\"error\":{}}\n\n") == "complete error events=1");
  for (const std::string end : {"completed", "incomplete", "failed"}) {
    CHECK(
        read(
            dialect::responses,
            "event: response." + end + "\ndata: {\"type\":\"response." + end +
                "\",\"response\":{\"error\":null,\"usage\":{\"input_tokens\":2,\"output_tokens\":3}}}\n\n") ==
        "complete done events=1 usage=2+3");
  }
  CHECK(read(dialect::responses,
             "data: {\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n") ==
        "open events=1");
  CHECK(read(dialect::events, "data: {\"type\":\"transcript.text.delta\"}\n\n") == "open events=1");
  CHECK(read(dialect::events, "data: {\"type\":\"transcript.text.done\"}\n\n") == "complete done events=1");
  CHECK(read(dialect::events, "event: image_generation.completed\ndata: {}\n\n") == "complete done events=1");
  CHECK(read(dialect::chat, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n") == "open events=1");
}

TEST_CASE("stream judge: swallows exactly the usage chunk that the client did not ask for",
          "[stream_judge]") {
  const std::string text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
  const std::string finish =
      "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
  const std::string with_usage =
      "data: "
      "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}"
      "\n\n";
  const std::string usage = R"("usage":{"prompt_tokens":5,"completion_tokens":3}})";
  const std::string openai = R"(data: {"choices":[],)" + usage;
  const std::string litellm = R"(data: {"choices":[{"index":0,"delta":{}}],)" + usage;
  const auto check = [&](const std::string& before, const std::string& chunk, const std::string& after,
                         bool swallowed) {
    const std::string whole = before + chunk + after;
    const std::string wanted = swallowed ? before + after : whole;
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
      stream_judge stream{dialect::chat, true};
      std::string out{stream.feed(std::string_view{whole}.substr(0, cut))};
      out += stream.feed(std::string_view{whole}.substr(cut));
      out += stream.finish();
      INFO(cut);
      REQUIRE(out == wanted);
      CHECK(stream.complete());
      REQUIRE(stream.usage);
    }
  };
  for (const auto& chunk : {openai, litellm}) {
    for (const std::string end : {"\n\n", "\r\n\r\n"}) {
      check(text + finish, chunk + end, done, true);
      check(text + finish + ": ping\n\n", chunk + end, ": bye\n\n" + done, true);
      check(finish, "event: x\n" + chunk + end, "", true);
    }
    check(finish, chunk, "", true);                     // its blank line is missing
    check(text, chunk + "\n\n", finish + done, false);  // it does not come after the end
  }
  check(text, with_usage, done, false);
  check(finish, R"(data: {"choices":[{"index":0,"delta":{"content":"b"}}],)" + usage + "\n\n", done, false);
  stream_judge plain;
  CHECK(plain.feed(finish + openai + "\n\n") == finish + openai + "\n\n");
}

TEST_CASE("stream judge: it stops after each error event, hands it out whole, and reads on",
          "[stream_judge]") {
  const std::string before = delta("a") + ": ping\n\n";
  const std::string first = "data: {\"error\":{\"message\":\"m\"}}\n\n";
  const std::string second = "event: error\ndata: {\"type\":\"error\",\"message\":\"n\"}\r\n\r\n";
  const std::string whole = before + first + delta("b") + second + done;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    INFO(cut);
    stream_judge stream;
    std::string out;
    std::vector<std::string> errors;
    for (auto rest : {std::string_view{whole}.substr(0, cut), std::string_view{whole}.substr(cut)}) {
      do {
        out += stream.feed(rest);
        if (auto error = stream.take_error(); !error.empty()) {
          out += "<error>";
          errors.push_back(std::move(error));
        }
        rest = rest.substr(rest.size() - stream.unread());
      } while (!rest.empty());
    }
    out += stream.finish();
    // If the last CR LF of an event is split, its line feed passes after the event.
    const auto wanted = before + "<error>" + delta("b") + "<error>" + done;
    const bool split_line_end = cut == whole.size() - done.size() - 1;
    CHECK(out == (split_line_end ? before + "<error>" + delta("b") + "<error>\n" + done : wanted));
    REQUIRE(errors.size() == 2);
    CHECK(errors[0] == first);
    CHECK(errors[1] == (split_line_end ? second.substr(0, second.size() - 1) : second));
    CHECK(stream.complete());
    CHECK(stream.error_seen());
  }
}

TEST_CASE("stream judge: a [DONE] ends no dialect but chat, and is left out before the dialect's own end",
          "[stream_judge]") {
  struct row {
    dialect speaks;
    std::string begun;
    std::string end;
  };
  for (const auto& [speaks, begun, end] :
       {row{dialect::anthropic, text_delta, message_stop}, row{dialect::responses, output_delta, completed},
        row{dialect::events, "data: {\"type\":\"transcript.text.delta\"}\n\n",
            "data: {\"type\":\"transcript.text.done\"}\n\n"}}) {
    for (const std::string done_event :
         {"data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "id: 1\ndata: [DONE]\n\n"}) {
      for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
        CAPTURE(static_cast<int>(speaks), done_event, step);
        // Of half an answer, the client gets nothing that says it is whole.
        auto half = read_in(speaks, begun + done_event, step);
        CHECK(half.finish().out == begun);
        CHECK(half.last.empty());
        CHECK(state(half.stream) == "open events=1");
        CHECK_FALSE(half.stream.last_event_seen());
        // A whole answer passes as it came.
        auto whole = read_in(speaks, begun + end + done_event, step);
        CHECK(whole.finish().out + whole.last == begun + end + done_event);
        CHECK(state(whole.stream) == "complete done events=3");
        // If the dialect's own end follows, the answer is whole, and [DONE] is sent as the last event.
        auto turned = read_in(speaks, begun + done_event + end, step);
        CHECK(turned.finish().out == begun + end);
        CHECK(turned.last == done);
        CHECK(state(turned.stream) == "complete done events=2");
        // It does not pass after an error, either.
        const auto error = event(R"({"type":"error","error":{"message":"m"}})");
        auto failed = read_in(speaks, begun + error + done_event, step);
        CHECK(failed.finish().out + failed.last == begun + error);
        CHECK(state(failed.stream) == "complete error events=2");
      }
    }
  }
  auto alone = read_in(dialect::anthropic, "data: [DONE]", 100);
  CHECK(alone.finish().last.empty());
  CHECK(state(alone.stream) == "open events=0");
}

TEST_CASE("stream judge: the last event is the dialect's own, never a finish_reason or one of several",
          "[stream_judge]") {
  const auto last_seen = [](dialect speaks, std::string_view bytes) {
    return read_in(speaks, bytes, 5).stream.last_event_seen();
  };
  CHECK(last_seen(dialect::chat, delta("a") + done));
  CHECK_FALSE(last_seen(dialect::chat, chunk("0", "\"stop\"")));
  // Without its blank line the event may still get more data.
  CHECK_FALSE(last_seen(dialect::chat, "data: [DONE]\n"));
  CHECK(last_seen(dialect::anthropic, message_stop));
  CHECK_FALSE(last_seen(dialect::anthropic, text_delta + done));
  for (const std::string end : {"completed", "incomplete", "failed", "cancelled"})
    CHECK(last_seen(dialect::responses, "event: response." + end + "\ndata: {}\n\n"));
  CHECK_FALSE(last_seen(dialect::responses, output_delta + done));
  CHECK_FALSE(last_seen(dialect::events, "data: {\"type\":\"transcript.text.done\"}\n\n"));
  CHECK_FALSE(last_seen(dialect::chat, event(R"({"error":{"message":"m"}})")));
}

TEST_CASE("stream judge: an unfinished event after the last one is dropped if the rest is not waited for",
          "[stream_judge]") {
  auto chat = read_in(dialect::chat, delta("a") + done + ": half a comm", 100);
  CHECK(chat.stream.finish_at_last_event().empty());
  CHECK(chat.stream.held() == 0);
  auto messages = read_in(dialect::anthropic, text_delta + done + message_stop + "data: {", 100);
  CHECK(messages.out == text_delta + message_stop);
  CHECK(messages.stream.finish_at_last_event() == done);
}

TEST_CASE("stream judge: response.failed ends a stream that is whole, but says that it failed",
          "[stream_judge]") {
  for (const auto& failed :
       {"event: response.failed\ndata: {\"response\":{\"error\":{\"code\":\"server_error\"}}}\n\n"s,
        event(R"({"type":"response.failed","response":{"error":{"code":"server_error"}}})")}) {
    auto read = read_in(dialect::responses, output_delta + failed, 4);
    CHECK(read.finish().out + read.last == output_delta + failed);
    CHECK(state(read.stream) == "complete done events=2");
    CHECK(read.stream.failed_seen());
  }
  CHECK_FALSE(read_in(dialect::responses, completed, 4).stream.failed_seen());
  CHECK_FALSE(read_in(dialect::chat, event(R"({"type":"response.failed"})"), 4).stream.failed_seen());
}

TEST_CASE("stream judge: the next sequence number follows the largest that was seen", "[stream_judge]") {
  const auto next = [](std::string_view bytes) {
    return read_in(dialect::responses, bytes, 7).stream.next_sequence_number();
  };
  CHECK(next("") == 0);
  CHECK(next(event(R"({"type":"response.created"})")) == 0);
  CHECK(next(event(R"({"type":"response.created","sequence_number":0})")) == 1);
  CHECK(next(output_delta + event(R"({"type":"x","sequence_number":3})")) == 5);
  CHECK(next(output_delta + event(R"({"sequence_number":-7,"response":{"sequence_number":99}})")) == 5);
  CHECK(next(event(R"({"sequence_number":"8"})")) == 0);
}
