// Heavy load: large bodies, deeply nested bodies, many streams, and many clients that leave.
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("crowd: a body of 30 MB is served, by length and by chunks", "[service][crowd]") {
  proxy service{mock_settings()};
  const auto body = R"({"padding":")" + std::string(30'000'000, 'p') + R"(",)" + chat_body("m").substr(1);
  raw_connection client{service.port()};
  REQUIRE(client.send(chat_bytes(body)));
  CHECK(read_response(client, patience).status == 200);
  REQUIRE(client.send(chunked_chat_head + in_chunks(body, 100'000) + get_health));
  CHECK(read_response(client, patience).status == 200);
  CHECK(read_response(client, patience).status == 200);
}

TEST_CASE("crowd: a body that comes in many reads is served", "[service][crowd]") {
  // No other actor refers to a session that waits for its body. CAF once ended such sessions for that reason.
  proxy service{mock_settings()};
  raw_connection slow{service.port()};
  REQUIRE(slow.send_slowly(chat_bytes(chat_body("m")), 1, 0ms));
  CHECK(read_response(slow, patience).status == 200);
}

TEST_CASE("crowd: 100,000 levels of nesting neither crash the service nor slow it down", "[service][crowd]") {
  proxy service{mock_settings()};
  const auto since = test_clock::now();
  const std::string arrays = std::string(100'000, '[') + std::string(100'000, ']');
  std::string objects = "1";
  {
    std::string open;
    for (int i = 0; i < 100'000; ++i) open += R"({"a":)";
    objects = open + objects + std::string(100'000, '}');
  }
  for (const auto& deep : {arrays, objects}) {
    CHECK(chat(service, R"({"model":"m","messages":[],"x":)" + deep + "}").status == 200);
    CHECK(chat(service, R"({"model":"m","messages":[{"role":"user","content":[)" + deep + "]}]}").status ==
          200);
    CHECK(chat(service, deep).status == 422);
  }
  CHECK(chat(service, std::string(100'000, '[')).status == 400);
  CHECK(test_clock::now() - since < 10s);
}

TEST_CASE("crowd: 200 streams at once each get their own words, in order", "[service][crowd]") {
  proxy service{mock_settings()};
  std::vector<std::thread> clients;
  std::vector<char> good(200);
  for (std::size_t i = 0; i < good.size(); ++i) {
    clients.emplace_back([&, i] {
      std::string words;
      for (int n = 0; n < 20; ++n) words += " w" + std::to_string(i) + "." + std::to_string(n);
      const auto events = sse_events(chat(service, chat_body("m", true, words)).body);
      bool right = events.size() == 26 && events.back() == "[DONE]";
      for (std::size_t n = 0; right && n < 20; ++n) {
        right = holds(events[n + 4], "w" + std::to_string(i) + "." + std::to_string(n) + "\"");
      }
      good[i] = right ? 1 : 0;
    });
  }
  for (auto& each : clients) each.join();
  CHECK(std::count(good.begin(), good.end(), 1) == 200);
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("crowd: when 50 clients leave at once, each of their upstream requests is closed within 100 ms",
          "[service][crowd]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (req.method != "POST") {
      reply.json(200, R"({"data":[]})");
      return;
    }
    if (req.is_true("stream")) {
      reply.sse_head();
      reply.event(R"({"choices":[{"index":0,"delta":{"content":"x"}}]})");
    }
    reply.hang();
  }};
  proxy service{litellm_settings(up.url())};
  std::vector<std::unique_ptr<raw_connection>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<raw_connection>(service.port()));
    // For every second client the answer has not begun yet.
    REQUIRE(clients.back()->send(chat_bytes(chat_body("m", i % 2 == 0))));
    if (i % 2 == 0) REQUIRE(clients.back()->read_until("\"x\"", 5s).end == read_end::done);
  }
  REQUIRE(eventually([&] {
    const auto all = up.requests();
    return std::count_if(all.begin(), all.end(), [](const auto& req) { return req.method == "POST"; }) == 50;
  }));
  const auto left = test_clock::now();
  clients.clear();
  for (const auto& req : up.requests()) {
    if (req.method != "POST") continue;
    const auto closing = up.closing_of(req.connection, 2s);
    REQUIRE(closing);
    CHECK(closing->at - left < 100ms);
  }
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("crowd: clients that leave at any moment leave no request behind", "[service][crowd]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 2ms;
  proxy service{values};
  const auto bytes =
      get_health + chat_bytes(chat_body("m", true, "a b c d e f g")) + chat_bytes(chat_body("m"));
  for (std::size_t at = 1; at < bytes.size(); at += 3) {
    raw_connection client{service.port()};
    client.send(bytes.substr(0, at));
    if (at % 2 == 0) client.read_some(2ms);
    if (at % 3 == 0) client.reset();
  }
  CHECK(eventually([&] { return service.in_flight() == 0; }));
  CHECK(chat(service, chat_body("m")).status == 200);
}

}  // namespace llm_proxy::test
