// Responses over a WebSocket, on real sockets.
#include "actors/service/service_parts.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"
#include "support/websocket_client.hpp"

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string create(std::string_view more) {
  return R"({"type":"response.create","model":"m",)" + std::string{more} + "}";
}

/// Answers a posted response as OpenAI would: its text is the number of items in the input.
void answer_response(const upstream_request& asked, upstream_reply& reply) {
  if (asked.method != "POST") {
    default_script(asked, reply);
    return;
  }
  static std::atomic<int> last{0};
  const auto id = "resp_" + std::to_string(++last);
  const auto item = R"({"id":"msg_)" + id + R"(","type":"message","role":"assistant","content":[]})";
  reply.sse({R"({"type":"response.created","sequence_number":0,"response":{"id":")" + id + R"("}})",
             R"({"type":"response.output_text.delta","sequence_number":1,"delta":"Hi"})",
             R"({"type":"response.output_item.done","sequence_number":2,"item":)" + item + "}",
             R"({"type":"response.completed","sequence_number":3,"response":{"id":")" + id +
                 R"(","model":"m","output":[)" + item +
                 R"(],"usage":{"input_tokens":3,"output_tokens":2}}})"});
}

std::vector<upstream_request> posts_of(const scripted_upstream& upstream) {
  auto all = upstream.requests();
  std::erase_if(all, [](const auto& each) { return each.method != "POST"; });
  return all;
}

std::string id_in(const std::string& message) {
  const auto at = message.find(R"("id":"resp_)") + 6;
  return message.substr(at, message.find('"', at) - at);
}

}  // namespace

TEST_CASE("websocket: a response comes as messages, and the next continues it", "[service][websocket]") {
  scripted_upstream upstream{answer_response};
  proxy service{litellm_settings(upstream.url())};
  websocket_client client{service.port()};
  REQUIRE(client.answer().status == 101);
  CHECK(client.answer().header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK_FALSE(client.answer().header("x-request-id").empty());
  CHECK(client.answer().header("server") == "llm-proxy");
  CHECK_FALSE(client.answer().has("sec-websocket-extensions"));

  REQUIRE(client.send(create(R"("store":false,"input":"one")")));
  const auto first = client.until("response.completed");
  REQUIRE(first.size() == 4);
  CHECK(first[1] == R"({"type":"response.output_text.delta","sequence_number":1,"delta":"Hi"})");

  const auto id = id_in(first[3]);
  REQUIRE(client.send(
      create(R"("store":false,"stream_id":"a","input":[{"type":"x"}],"previous_response_id":")" + id + '"')));
  const auto second = client.until("response.completed");
  REQUIRE(second.size() == 4);
  CHECK(second[1].starts_with(R"({"stream_id":"a",)"));
  const auto posts = posts_of(upstream);
  REQUIRE(posts.size() == 2);
  CHECK(posts[1].target == "/v1/responses");
  CHECK(posts[1].header("authorization") == "Bearer upstream-key");
  CHECK(posts[1].header("upgrade").empty());
  CHECK(posts[1].body ==
        R"({"model":"m","store":false,"input":[{"type":"message","role":"user","content":"one"},)"
        R"({"id":"msg_)" +
            id + R"(","type":"message","role":"assistant","content":[]},{"type":"x"}],"stream":true})");
  CHECK(client.close());
}

TEST_CASE("websocket: errors are messages with a status, and the socket stays open", "[service][websocket]") {
  scripted_upstream upstream{[](const upstream_request& asked, upstream_reply& reply) {
    if (has(asked.body, "slow down"))
      reply.json(429, R"({"error":{"message":"slow down","type":"rate_limit_error","code":"429"}})",
                 {{"retry-after", "7"}});
    else if (has(asked.body, "cut"))
      reply.sse_head(), reply.event(R"({"type":"response.created","response":{"id":"r"}})"), reply.reset();
    else if (has(asked.body, "whole"))
      reply.json(200, R"({"id":"resp_whole","object":"response","status":"completed","output":[]})");
    else
      answer_response(asked, reply);
  }};
  auto values = litellm_settings(upstream.url());
  values.max_body_bytes = 10'000;
  proxy service{values};
  websocket_client client{service.port()};

  client.send("no JSON");
  CHECK(has(client.next().value_or(""), R"({"type":"error","status":400,"error":{)"));
  client.send(create(R"("input":"slow down")"));
  const auto limited = client.next().value_or("");
  CHECK(has(limited, R"("status":429)"));
  CHECK(has(limited, R"("retry-after":"7")"));
  client.send(create(R"("input":"cut","stream_id":"a")"));
  const auto cut = client.until("error");
  CHECK(has(cut.back(), R"({"stream_id":"a","type":"error","status":502)"));
  CHECK(has(cut.back(), "upstream_disconnected"));
  client.send(create(R"("input":"whole")"));
  CHECK(has(client.next().value_or(""),
            R"("type":"response.completed","sequence_number":0,"response":{"id":"resp_whole")"));
  client.send(R"({"type":"response.create","model":7})");
  CHECK(has(client.next().value_or(""), R"("status":422)"));
  client.send_frame(websocket_client::binary_frame, "{}");
  CHECK(has(client.next().value_or(""), "must be text"));
  // The expanded body is what counts.
  client.send(create(R"("generate":false,"input":")" + std::string(6000, 'x') + '"'));
  const auto warm = client.until("completed");
  client.send(create(R"("input":")" + std::string(6000, 'x') + R"(","previous_response_id":")" +
                     id_in(warm.back()) + '"'));
  CHECK(has(client.next().value_or(""), R"("status":413)"));
  client.send(create(R"("input":"fine")"));
  CHECK(client.until("response.completed").size() == 4);
  CHECK(client.is_open());
  // A message that is too large is the end of the connection, because it cannot be skipped.
  client.send(create(R"("input":")" + std::string(20'000, 'x') + '"'));
  CHECK(client.wait_for_close() == 1009);
}

TEST_CASE("websocket: an upgrade that is refused has the status that says why", "[service][websocket]") {
  auto values = mock_settings();
  proxy service{values};
  const auto status = [&](const header_list& more, std::string_view target = "/v1/responses") {
    return websocket_client{service.port(), more, target}.answer().status;
  };
  CHECK(status({}) == 101);
  CHECK(status({}, "/responses") == 101);
  CHECK(status({{"x-internal-auth", "wrong"}}) == 401);
  CHECK(status({{"x-internal-auth", ""}}) == 401);
  CHECK(status({{"origin", "http://127.0.0.1"}}) == 101);
  CHECK(status({{"origin", "https://evil.example"}}) == 403);
  CHECK(status({}, "/v1/nothing") == 404);
  CHECK(status({{"connection", "keep-alive"}}) == 400);
  CHECK(status({{"sec-websocket-version", "8"}}) == 426);

  const auto plain = request(service.port(), "GET", "/v1/responses", {{"x-internal-auth", "test-key"}});
  CHECK(plain.status == 426);
  CHECK(plain.header("upgrade") == "websocket");
  CHECK(plain.header("sec-websocket-version") == "13");
  CHECK(has(plain.body, R"("code":"upgrade_required")"));

  // A key as subprotocol, as browsers send it.
  websocket_client page{
      service.port(),
      {{"x-internal-auth", ""}, {"sec-websocket-protocol", "realtime, openai-insecure-api-key.test-key"}}};
  CHECK(page.answer().status == 101);
  CHECK(page.answer().header("sec-websocket-protocol") == "realtime");
  page.send(create(R"("input":"hi")"));
  CHECK_FALSE(page.until("response.completed").empty());
  CHECK(status({{"sec-websocket-protocol", "openai-insecure-api-key.test-key"}}) == 400);
  CHECK(status({{"x-internal-auth", ""},
                {"sec-websocket-protocol", "realtime, openai-insecure-api-key.no"}}) == 401);

  values.cors_origins = {"https://app.example.com"};
  proxy listing{values};
  const auto from = [&](std::string_view origin) {
    return websocket_client{listing.port(), {{"origin", std::string{origin}}}}.answer().status;
  };
  CHECK(from("https://app.example.com") == 101);
  CHECK(from("https://APP.example.com:443") == 101);
  CHECK(from("http://app.example.com") == 403);

  values.websockets = false;
  proxy without{values};
  const websocket_client refused{without.port()};
  CHECK(refused.answer().status == 426);
  CHECK(has(refused.answer().body, "LLM_PROXY__WEBSOCKETS"));
}

TEST_CASE("websocket: a client that leaves ends its responses upstream at once", "[service][websocket]") {
  std::promise<test_clock::time_point> told;
  scripted_upstream upstream{[&](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return default_script(asked, reply);
    reply.sse_head();
    reply.event(R"({"type":"response.created","response":{"id":"r"}})");
    if (const auto at = reply.wait_until_closed(5s)) told.set_value(*at);
  }};
  proxy service{litellm_settings(upstream.url())};
  websocket_client client{service.port()};
  client.send(create(R"("input":"hi")"));
  REQUIRE_FALSE(client.until("response.created").empty());
  const auto left = test_clock::now();
  client.socket().close();
  auto future = told.get_future();
  REQUIRE(future.wait_for(3s) == std::future_status::ready);
  CHECK(future.get() - left < 1s);  // 0.2 ms on a quiet machine
}

TEST_CASE("websocket: draining lets responses end, refuses new ones, and closes with 1001",
          "[service][websocket]") {
  std::promise<void> go;
  const auto gone = go.get_future().share();
  scripted_upstream upstream{[&](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return default_script(asked, reply);
    reply.sse_head();
    reply.event(R"({"type":"response.created","response":{"id":"r"}})");
    gone.wait_for(5s);
    reply.event(R"({"type":"response.completed","response":{"id":"r","output":[]}})");
    reply.end_chunks();
  }};
  auto values = litellm_settings(upstream.url());
  values.threads = 1;  // so that both sockets hear of the drain at the same time
  proxy service{values};
  websocket_client idle{service.port()};
  websocket_client busy{service.port()};
  busy.send(create(R"("input":"hi")"));
  REQUIRE_FALSE(busy.until("response.created").empty());
  auto drained = std::async(std::launch::async, [&] { return service.drain_connections(5s); });
  CHECK(idle.wait_for_close() == 1001);
  busy.send(create(R"("stream_id":"b","input":"hi")"));
  const auto refused = busy.next().value_or("");
  CAPTURE(refused);
  CHECK(has(refused, R"("status":503)"));
  CHECK(has(refused, R"("stream_id":"b")"));
  go.set_value();
  CHECK(has(busy.next().value_or(""), "response.completed"));
  CHECK(busy.wait_for_close() == 1001);
  CHECK(drained.get());
}

TEST_CASE("websocket: a drain that waits no longer ends responses with an error", "[service][websocket]") {
  scripted_upstream upstream{[](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return default_script(asked, reply);
    reply.sse_head();
    reply.event(R"({"type":"response.created","response":{"id":"r"}})");
    reply.hang();
  }};
  proxy service{litellm_settings(upstream.url())};
  websocket_client client{service.port()};
  client.send(create(R"("input":"hi")"));
  REQUIRE_FALSE(client.until("response.created").empty());
  CHECK_FALSE(service.drain_connections(100ms));
  const auto error = client.next().value_or("");
  CAPTURE(error);
  CHECK(has(error, R"("status":503)"));
  CHECK(has(error, R"("code":"drained")"));
  CHECK(client.wait_for_close() == 1001);
}

TEST_CASE("websocket: after its lifetime a socket takes no more responses and closes",
          "[service][websocket]") {
  auto values = mock_settings();
  values.websocket_lifetime = 300ms;
  proxy service{values};
  websocket_client client{service.port()};
  const auto all = client.until("websocket_connection_limit_reached", 3s);
  REQUIRE(all.size() == 1);
  CHECK(has(all[0], R"("status":400)"));
  CHECK(client.wait_for_close() == 1000);
}

TEST_CASE("websocket: a client that does not read is closed, and holds no more than a window",
          "[service][websocket]") {
  std::atomic<std::size_t> sent{0};
  scripted_upstream upstream{[&](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return default_script(asked, reply);
    reply.sse_head();
    const auto event = R"({"type":"response.output_text.delta","delta":")" + std::string(10'000, 'x') + "\"}";
    for (int i = 0; i < 10'000 && reply.event(event); ++i) sent += event.size();
  }};
  auto values = litellm_settings(upstream.url());
  values.client_write_timeout = 500ms;
  proxy service{values};
  websocket_client client{service.port()};
  client.send(create(R"("input":"hi")"));
  // It neither reads nor answers the close, so the connection ends.
  std::this_thread::sleep_for(4s);
  // The buffers of the system take some 10 MB on each of the two connections.
  CHECK(sent < 40'000'000);
  CHECK(client.socket().wait_closed(5s) != read_end::timeout);
}

TEST_CASE("websocket: 16 lanes of 30 turns over one socket, none mixed up", "[service][websocket]") {
  scripted_upstream upstream{[](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return default_script(asked, reply);
    const auto who = asked.text("user");
    reply.sse({R"({"type":"response.created","response":{"id":"r-)" + who + R"("}})",
               R"({"type":"response.output_text.delta","delta":")" + who + R"("})",
               R"({"type":"response.completed","response":{"id":"r-)" + who + R"(","output":[]}})"});
  }};
  proxy service{litellm_settings(upstream.url())};
  websocket_client client{service.port()};
  constexpr int lanes = 16;
  constexpr int turns = 30;
  std::vector<int> next(lanes, 0);
  const auto ask = [&](int lane) {
    const auto n = std::to_string(lane);
    client.send(
        create(R"("stream_id":"lane)" + n + R"(","user":")" + n + "." + std::to_string(next[lane]) + R"(")"));
  };
  for (int lane = 0; lane < lanes; ++lane) ask(lane);
  int done = 0;
  while (done < lanes * turns) {
    const auto message = client.next();
    REQUIRE(message);
    const auto at = message->find("lane") + 4;
    const auto lane = std::stoi(message->substr(at));
    const auto who = std::to_string(lane) + "." + std::to_string(next[lane]);
    REQUIRE(has(*message, who + '"'));
    if (!has(*message, "completed")) continue;
    ++done;
    if (++next[lane] < turns) ask(lane);
  }
  CHECK(client.close());
}

TEST_CASE("websocket: the upgrade and each response count as requests of their own",
          "[service][websocket][metrics]") {
  proxy service{mock_settings()};
  websocket_client client{service.port()};
  client.send(create(R"("input":"hi")"));
  REQUIRE_FALSE(client.until("response.completed").empty());
  client.send(create(R"("input":"hi")"));
  REQUIRE_FALSE(client.until("response.completed").empty());
  const auto metrics = request(service.port(), "GET", "/metrics", {{"x-internal-auth", "test-key"}}).body;
  CHECK(has(metrics, R"(requests_total{route="/v1/responses",status="101",verdict="complete"} 1)"));
  CHECK(has(metrics, R"(requests_total{route="/v1/responses",status="200",verdict="complete"} 2)"));
}

}  // namespace llm_proxy::test
