// Shutting down, and the limit on concurrent requests.
#include "actors/service/service_parts.hpp"
#include "support/raw_requests.hpp"

#include <future>
#include <string>
#include <system_error>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::future<bool> drain_in_background(proxy& service, milliseconds timeout) {
  return std::async(std::launch::async, [&service, timeout] { return service.drain_connections(timeout); });
}

/// Returns a connection with a stream whose first event has arrived.
raw_connection open_stream(const proxy& service, std::string_view text) {
  raw_connection client{service.port()};
  REQUIRE(client.send(chat_bytes(chat_body("m", true, text))));
  REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  return client;
}

bool is_refused(std::uint16_t port) {
  try {
    raw_connection client{port};
    return client.wait_closed(1s) != read_end::timeout;
  } catch (const std::system_error&) {
    return true;
  }
}

}  // namespace

TEST_CASE("drain: idle connections are closed and new ones refused", "[service][drain]") {
  proxy service{mock_settings()};
  std::vector<raw_connection> idle;
  for (int i = 0; i < 10; ++i) {
    idle.emplace_back(service.port());
    if (i % 2 == 0) continue;
    REQUIRE(idle.back().send(get_health));
    CHECK(read_response(idle.back(), patience).status == 200);
  }
  CHECK(service.drain_connections(10s));
  for (auto& each : idle) CHECK(each.wait_closed(patience) == read_end::eof);
  CHECK(is_refused(service.port()));
}

TEST_CASE("drain: a request in flight is answered, and its connection ends", "[service][drain]") {
  auto values = mock_settings();
  proxy service{values, [](const llm_proxy::upstream_request&) {
                  fake_script script;
                  script.head_delay = 300ms;
                  script.headers.add("content-type", "application/json");
                  script.steps.push_back({0ms, R"({"late":true})"});
                  return script;
                }};
  raw_connection client{service.port()};
  REQUIRE(client.send(chat_bytes(chat_body("m"))));
  REQUIRE(eventually([&] { return service.in_flight() == 1; }));
  auto drained = drain_in_background(service, 10s);
  const auto answer = read_response(client, patience);
  CHECK(answer.status == 200);
  CHECK(answer.header("connection") == "close");
  CHECK(client.wait_closed(patience) == read_end::eof);
  client.close();
  CHECK(drained.get());
}

TEST_CASE("drain: a stream in flight is finished, then its connection ends", "[service][drain]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 50ms;
  proxy service{values};
  auto client = open_stream(service, "a b c d e");
  const auto since = test_clock::now();
  auto drained = drain_in_background(service, 20s);
  const auto rest = client.read_to_end(patience);
  CHECK(rest.end == read_end::eof);
  CHECK(holds(rest.bytes, "data: [DONE]\n\n\r\n0\r\n\r\n"));
  client.close();
  CHECK(drained.get());
  CHECK(test_clock::now() - since < 5s);
}

TEST_CASE("drain: a request whose body is still coming is served", "[service][drain]") {
  proxy service{mock_settings()};
  const auto bytes = chat_bytes(chat_body("m"));
  raw_connection client{service.port()};
  REQUIRE(client.send(bytes.substr(0, bytes.size() - 5)));
  REQUIRE(eventually([&] { return service.in_flight() == 1; }));
  auto drained = drain_in_background(service, 10s);
  REQUIRE(eventually([&] { return is_refused(service.port()); }));
  REQUIRE(client.send(bytes.substr(bytes.size() - 5)));
  const auto answer = read_response(client, patience);
  CHECK(answer.status == 200);
  CHECK(answer.header("connection") == "close");
  client.close();
  CHECK(drained.get());
}

TEST_CASE("drain: it does not wait for the body of a refused request", "[service][drain]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"));
  CHECK(read_response(client, patience).status == 405);
  auto drained = drain_in_background(service, 10s);
  CHECK(client.wait_closed(patience) == read_end::eof);
  client.close();
  CHECK(drained.get());
}

TEST_CASE("drain: a stream that outlasts the drain timeout ends with an error event and without [DONE]",
          "[service][drain]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 200ms;
  proxy service{values};
  auto client = open_stream(service, "a b c d e f g h i j k l m n o p q r s t u v w x y z");
  CHECK_FALSE(service.drain_connections(100ms));
  const auto rest = client.read_to_end(patience);
  CHECK(rest.end == read_end::eof);
  CHECK(holds(rest.bytes, R"(data: {"error":{"message":")"));
  CHECK(holds(rest.bytes, R"("code":"drained")"));
  CHECK_FALSE(holds(rest.bytes, "[DONE]"));
  CHECK_FALSE(holds(rest.bytes, "\r\n0\r\n\r\n"));
  CHECK(service.in_flight() == 0);
}

TEST_CASE("drain: a request without an answer gets a 503 when the drain timeout is over",
          "[service][drain]") {
  proxy service{mock_settings(), [](const llm_proxy::upstream_request&) {
                  fake_script script;
                  script.head_delay = 1h;
                  return script;
                }};
  const auto bytes = chat_bytes(chat_body("m"));
  raw_connection waiting{service.port()};
  REQUIRE(waiting.send(bytes));
  raw_connection sending{service.port()};
  REQUIRE(sending.send(bytes.substr(0, bytes.size() - 5)));
  REQUIRE(eventually([&] { return service.in_flight() == 2; }));
  CHECK_FALSE(service.drain_connections(100ms));
  for (auto* client : {&waiting, &sending}) {
    const auto answer = read_response(*client, patience);
    CHECK(answer.status == 503);
    CHECK(answer.header("connection") == "close");
    CHECK(holds(answer.body, R"("code":"drained")"));
  }
}

TEST_CASE("drain: it does not wait for an acceptor that is dead", "[service][drain]") {
  proxy service{mock_settings()};
  caf::anon_send_exit(service.parts().acceptors.back(), caf::exit_reason::kill);
  auto drained = drain_in_background(service, 0ms);
  REQUIRE(drained.wait_for(10s) == std::future_status::ready);
  CHECK_FALSE(drained.get());
}

TEST_CASE("drain: destroying the service with all sorts of connections open ends quickly",
          "[service][drain]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 1h;
  std::vector<raw_connection> clients;
  const auto since = test_clock::now();
  {
    proxy service{values};
    for (const auto& bytes : {std::string{}, std::string{"GET /he"}, chat_bytes(chat_body("m", true)),
                              chat_bytes(chat_body("m")).substr(0, 150), get_health}) {
      clients.emplace_back(service.port());
      clients.back().send(bytes);
    }
    REQUIRE(eventually([&] { return service.in_flight() == 2; }));
  }
  for (auto& client : clients) CHECK(client.wait_closed(patience) != read_end::timeout);
  CHECK(test_clock::now() - since < 5s);
}

TEST_CASE("limit: over MAX_CONCURRENT_REQUESTS a request is a 503, until a slot is free",
          "[service][limit]") {
  auto values = mock_settings();
  values.max_concurrent_requests = 3;
  values.mock_chunk_delay_ms = 1h;
  proxy service{values};
  for (int round = 0; round < 3; ++round) {
    std::vector<raw_connection> streams;
    for (int i = 0; i < 3; ++i) streams.push_back(open_stream(service, "a b c"));
    raw_connection extra{service.port()};
    for (int i = 0; i < 5; ++i) {
      REQUIRE(extra.send(chat_bytes(chat_body("m"))));
      const auto refused = read_response(extra, patience);
      CHECK(refused.status == 503);
      CHECK(refused.header("retry-after") == "1");
      CHECK(holds(refused.body, R"("type":"server_error","param":null,"code":"overloaded")"));
    }
    CHECK(service.in_flight() == 3);
    // Only chat requests count.
    CHECK(request(service.port(), "GET", "/v1/models", with_key).status == 200);
    CHECK(request(service.port(), "GET", "/health").status == 200);
    streams.pop_back();
    REQUIRE(eventually([&] { return service.in_flight() == 2; }));
    REQUIRE(extra.send(chat_bytes(chat_body("m"))));
    CHECK(read_response(extra, patience).status == 200);
    streams.clear();
    REQUIRE(eventually([&] { return service.in_flight() == 0; }));
  }
}

TEST_CASE("limit: refused and broken requests give their slots back", "[service][limit]") {
  auto values = mock_settings();
  values.max_concurrent_requests = 1;
  proxy service{values};
  for (int i = 0; i < 3; ++i) {
    CHECK(chat(service, "{").status == 400);
    CHECK(chat(service, "{}").status == 422);
    CHECK(say(service.port(), chunked_chat_head + "zz\r\n").status == 400);
    raw_connection leaving{service.port()};
    REQUIRE(leaving.send(chat_bytes(chat_body("m")).substr(0, 150)));
    REQUIRE(eventually([&] { return service.in_flight() == 1; }));
    leaving.reset();
    REQUIRE(eventually([&] { return service.in_flight() == 0; }));
  }
  CHECK(chat(service, chat_body("m")).status == 200);
}

}  // namespace llm_proxy::test
