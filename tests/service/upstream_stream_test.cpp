// Event streams: they are passed on immediately and byte for byte, and they end well or with an error.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

std::string finish(int index) {
  return R"({"choices":[{"index":)" + std::to_string(index) + R"(,"delta":{},"finish_reason":"stop"}]})";
}

const std::string done = "data: [DONE]\n\n";

}  // namespace

TEST_CASE("stream: an event reaches the client before upstream sends the next",
          "[service][upstream][stream]") {
  std::vector<gate> seen(5);
  std::atomic<int> waited_for{0};
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    for (auto& each : seen) {
      reply.event(delta);
      if (each.wait()) ++waited_for;
    }
    reply.event(stop);
    reply.end_chunks();
  })};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m", true)));
  event_stream events{client};
  REQUIRE(events.open(milliseconds{5000}));
  CHECK(events.answer().header("content-type") == "text/event-stream; charset=utf-8");
  CHECK(events.answer().header("cache-control") == "no-cache");
  CHECK(events.answer().header("x-accel-buffering") == "no");
  for (auto& each : seen) {
    const auto event = events.next(milliseconds{5000});
    REQUIRE(event);
    CHECK(event->data == delta);
    each.open();
  }
  CHECK(events.rest(milliseconds{5000}).size() == 1);
  CHECK(events.answer().complete);
  CHECK(waited_for == 5);
}

TEST_CASE("stream: it passes byte for byte, however it is cut into chunks", "[service][upstream][stream]") {
  const std::vector<std::string> texts{
      ": hi\n\n" + event_of(delta) + event_of(stop) + done,
      "data:" + delta + "\r\n\r\n: c\r\ndata: " + stop + "\r\n\r\ndata: [DONE]\r\n\r\n",
      "data: " + delta + "\r\rdata: " + stop + "\r\rdata: [DONE]\r\r",
      "\xEF\xBB\xBFretry: 10\n\nid: 7\nevent: x\nfoo: bar\nnocolon\ndata: {\"choices\":\ndata: []}\n\n" +
          done,
      event_of(R"({"choices":[{"index":0,"delta":{"content":"gr)"
               "\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"
               R"("},"finish_reason":"stop"}],"n":1.0})"),
  };
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& text : texts) {
    for (const std::size_t piece : {1UL, 3UL, 7UL, 100'000UL}) {
      up.set_script(streams(text, piece));
      const auto answer = chat(service, chat_body("m", true));
      INFO(text << " in pieces of " << piece);
      CHECK(answer.status == 200);
      CHECK(answer.complete);
      CHECK(answer.body == text);
      CHECK_FALSE(answer.closed);
    }
  }
}

TEST_CASE("stream: an event of 2 MiB is passed on in pieces, before its end has arrived",
          "[service][upstream][stream]") {
  const auto big = event_of(R"({"choices":[{"index":0,"delta":{"content":")" + std::string(2'000'000, 'a') +
                            R"("},"finish_reason":"stop"}]})");
  gate seen;
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    reply.chunk(big.substr(0, 500'000));
    CHECK(seen.wait());
    reply.chunk(big.substr(500'000));
    reply.end_chunks();
  })};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m", true)));
  response_reader reader{client};
  REQUIRE(reader.read_head(milliseconds{5000}));
  while (reader.answer().body.size() < 500'000 && reader.read_more(milliseconds{5000})) {
  }
  seen.open();
  while (reader.read_more(milliseconds{5000})) {
  }
  CHECK(reader.answer().complete);
  CHECK((reader.answer().body == big));
}

TEST_CASE("stream: one that ends in any complete way is passed on with nothing added",
          "[service][upstream][stream]") {
  const std::string error = R"({"error":{"message":"m","type":"t","param":null,"code":"500"}})";
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& text : std::vector<std::string>{
           event_of(delta) + done, event_of(delta) + event_of(stop), event_of(delta) + event_of(error),
           event_of(delta) + "event: error\ndata: " + error + "\n\n", done, event_of(delta) + "data: [DONE]",
           event_of(delta) + "data: [DONE]\n", event_of(delta) + "data: " + stop,
           event_of(delta) + event_of(stop) + ": bye\n\n", event_of(finish(0)) + event_of(finish(1)),
           event_of(stop) +
               event_of(
                   R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})")}) {
    up.set_script(streams(text, 11));
    raw_connection client{service.port()};
    REQUIRE(send_chat(client, chat_body("m", true)));
    const auto answer = read_response(client, milliseconds{5000});
    INFO(text);
    CHECK(answer.status == 200);
    CHECK(answer.complete);
    CHECK(answer.body == text);
    // The client's connection can be used again.
    REQUIRE(send_chat(client, chat_body("m", true)));
    CHECK(read_response(client, milliseconds{5000}).body == text);
  }
}

TEST_CASE("stream: after any other end come an error event and the connection's end, without [DONE]",
          "[service][upstream][stream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    reply.sse_head();
    reply.event(delta);
    if (what == "one-of-two") {
      reply.event(R"({"choices":[{"index":1,"delta":{"content":"y"},"finish_reason":null}]})");
      reply.event(finish(1));
      reply.end_chunks();
      return;
    }
    if (what == "comments") {
      while (reply.chunk(": ping\n\n") && reply.sleep(milliseconds{20})) {
      }
      return;
    }
    reply.chunk("data: {\"half");
    if (what == "reset") {
      reply.sleep(milliseconds{50});  // lets the service read first, because a reset discards unread bytes
      reply.reset();
    }
    if (what == "cut") reply.close();
    if (what == "cut-in-chunk") {
      reply.send("ff\r\ndata: ");
      reply.close();
    }
    if (what == "clean") reply.end_chunks();
    if (what == "bad-chunk") reply.send("zz\r\n");
    if (what == "idle") reply.hang();
  })};
  auto values = litellm_settings(up.url());
  values.idle_timeout = milliseconds{200};
  proxy service{values};
  for (const std::string what :
       {"reset", "cut", "cut-in-chunk", "clean", "bad-chunk", "one-of-two", "idle", "comments"}) {
    INFO(what);
    raw_connection client{service.port()};
    REQUIRE(send_chat(client, chat_body(what, true)));
    const auto all = client.read_to_end(milliseconds{5000});
    CHECK(all.end == read_end::eof);
    CHECK(all.bytes.starts_with("HTTP/1.1 200"));
    CHECK(contains(all.bytes, event_of(delta)));
    CHECK_FALSE(contains(all.bytes, "half"));
    CHECK_FALSE(contains(all.bytes, "[DONE]"));
    CHECK_FALSE(all.bytes.ends_with("0\r\n\r\n"));
    const bool late = what == "idle" || what == "comments";
    CHECK(contains(all.bytes, "\r\ndata: {\"error\":{\"message\":"));
    CHECK(
        contains(all.bytes, late ? R"("code":"upstream_timeout"}})" : R"("code":"upstream_disconnected"}})"));
    CHECK(all.bytes.ends_with("\n\n\r\n"));
  }
}

TEST_CASE("stream: one that fails before its first event is a plain error", "[service][upstream][stream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    reply.sse_head();
    reply.chunk(": ping\n\n");
    if (what == "half") reply.chunk("data: {\"half");
    if (what == "reset") {
      reply.sleep(milliseconds{50});
      reply.reset();
    }
    if (what == "bad-chunk") reply.send("zz\r\n");
    if (what == "cut" || what == "half") reply.close();
    if (what == "clean") reply.end_chunks();
    if (what == "comments") {
      while (reply.chunk(": ping\n\n") && reply.sleep(milliseconds{20})) {
      }
    }
  })};
  auto values = litellm_settings(up.url());
  values.first_byte_timeout = milliseconds{200};
  proxy service{values};
  for (const std::string what : {"half", "reset", "bad-chunk", "cut", "clean", "comments"}) {
    INFO(what);
    const auto answer = chat(service, chat_body(what, true));
    CHECK(answer.status == (what == "comments" ? 504 : 502));
    CHECK(answer.complete);
    CHECK(answer.header("content-type") == "application/json");
    CHECK(answer.body.starts_with(R"({"error":{)"));
    CHECK(contains(answer.body, what == "comments" ? "upstream_timeout" : "upstream_disconnected"));
  }
}

TEST_CASE("stream: comments before the first event are sent with it, in their place",
          "[service][upstream][stream]") {
  const std::string text = ": one\n\n: two\r\n\r\n" + event_of(stop);
  scripted_upstream up{streams(text, 4)};
  proxy service{litellm_settings(up.url())};
  CHECK(chat(service, chat_body("m", true)).body == text);
}

TEST_CASE("stream: after a cut inside an event that is passed on in pieces the connection is just closed",
          "[service][upstream][stream]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.sse_head();
    reply.event(delta);
    reply.chunk("data: {\"half\":\"" + std::string(100'000, 'a'));
    reply.close();
  })};
  proxy service{litellm_settings(up.url())};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.complete);
  CHECK(answer.closed);
  CHECK_FALSE(contains(answer.body, "error"));
  CHECK(answer.body.ends_with("aaaa"));
}

TEST_CASE("stream: a compressed one is judged only by its framing", "[service][upstream][stream]") {
  const std::string squeezed{"\x1f\x8b\x08\x00\xff\xfe\x00 nothing\n\nto read", 24};
  std::atomic<bool> cut{false};
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head({{"content-encoding", "gzip"}});
    reply.chunk(squeezed);
    if (cut) {
      reply.close();
    } else {
      reply.end_chunks();
    }
  })};
  proxy service{litellm_settings(up.url())};
  auto answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK(answer.header("content-encoding") == "gzip");
  CHECK(answer.complete);
  CHECK(answer.body == squeezed);
  cut = true;
  answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.complete);
  CHECK(answer.body == squeezed);
}

TEST_CASE("stream: one that ends with the connection is judged like any other",
          "[service][upstream][stream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    reply.send("HTTP/1.0 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n");
    reply.send(event_of(delta));
    if (req.text("model") == "whole") reply.send(event_of(stop));
    reply.close();
  })};
  proxy service{litellm_settings(up.url())};
  const auto whole = chat(service, chat_body("whole", true));
  CHECK(whole.complete);
  CHECK(whole.body == event_of(delta) + event_of(stop));
  const auto half = chat(service, chat_body("half", true));
  CHECK_FALSE(half.complete);
  CHECK(contains(half.body, "upstream_disconnected"));
}

}  // namespace llm_proxy::test
