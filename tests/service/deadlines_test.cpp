// Deadlines on the client's side: for a head, for a body, for an idle connection, and for a client that does
// not read.
#include "support/raw_requests.hpp"

#include <string>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Sends the bytes one by one, with pauses that are much shorter than the deadline, until an answer comes.
/// Returns how long that took.
test_clock::duration trickle_until_answered(raw_connection& client, std::string_view bytes,
                                            milliseconds pause) {
  const auto since = test_clock::now();
  for (const char c : bytes) {
    client.send({&c, 1});
    if (!client.stays_quiet(pause)) break;
  }
  return test_clock::now() - since;
}

}  // namespace

TEST_CASE("deadlines: a head that arrives too slowly is a 408", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = 300ms;
  proxy service{values};
  raw_connection client{service.port()};
  const auto took =
      trickle_until_answered(client, "GET /health HTTP/1.1\r\nx: " + std::string(200, 'a'), 20ms);
  CHECK(took >= 290ms);
  CHECK(took < 2s);
  const auto answer = read_response(client, patience);
  CHECK(answer.status == 408);
  CHECK(answer.header("connection") == "close");
  CHECK(holds(answer.body, R"("code":"request_timeout")"));
  CHECK(client.read_to_end(patience).end == read_end::eof);
  // The time starts with the first byte, even if that byte belongs to an empty line before the head.
  CHECK(say(service.port(), "\r\n").status == 408);
}

TEST_CASE("deadlines: the next head on a kept connection has its own time", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = 300ms;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(client.send(get_health + "GET /heal"));
  CHECK(read_response(client, patience).status == 200);
  CHECK(read_response(client, patience).status == 408);
}

TEST_CASE("deadlines: if REQUEST_TIMEOUT ends while the body is read, the client gets a 408",
          "[service][deadline]") {
  auto values = mock_settings();
  values.request_timeout = 200ms;
  proxy service{values};
  raw_connection client{service.port()};
  const auto whole = chat_bytes(chat_body("m"));
  REQUIRE(client.send(whole.substr(0, whole.size() - 1)));
  const auto answer = read_response(client, patience);
  CHECK(answer.status == 408);
  CHECK(holds(answer.body, R"("code":"request_timeout")"));
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("deadlines: a body that arrives too slowly is a 408", "[service][deadline]") {
  auto values = mock_settings();
  values.client_body_timeout = 300ms;
  proxy service{values};
  const auto body = chat_body("m", false, std::string(400, 'a'));
  const auto whole = chat_bytes(body);
  for (const auto& bytes : {whole, chunked_chat_head + in_chunks(body, 1)}) {
    const auto head_end = bytes.find("\r\n\r\n") + 4;
    raw_connection client{service.port()};
    REQUIRE(client.send(bytes.substr(0, head_end)));
    const auto took = trickle_until_answered(client, bytes.substr(head_end), 20ms);
    CHECK(took >= 290ms);
    CHECK(took < 2s);
    const auto answer = read_response(client, patience);
    CHECK(answer.status == 408);
    CHECK(answer.header("connection") == "close");
    CHECK(client.read_to_end(patience).end == read_end::eof);
  }
  CHECK(service.in_flight() == 0);
}

TEST_CASE("deadlines: the body of a refused request has a deadline, too", "[service][deadline]") {
  auto values = mock_settings();
  values.client_body_timeout = 300ms;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"));
  CHECK(read_response(client, patience).status == 405);
  const auto since = test_clock::now();
  CHECK(client.wait_closed(patience) == read_end::eof);
  CHECK(test_clock::now() - since < 2s);
}

TEST_CASE("deadlines: an idle connection is closed, before and between requests", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = values.keep_alive_timeout = 300ms;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 4; ++i) {
    CHECK(client.stays_quiet(150ms));
    REQUIRE(client.send(get_health));
    CHECK(read_response(client, patience).status == 200);
  }
  const auto since = test_clock::now();
  CHECK(client.wait_closed(patience) == read_end::eof);
  CHECK(test_clock::now() - since >= 250ms);
  raw_connection silent{service.port()};
  CHECK(silent.wait_closed(patience) == read_end::eof);
}

TEST_CASE("deadlines: none of them runs while an answer is on its way", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = values.client_body_timeout = values.keep_alive_timeout = 100ms;
  values.client_write_timeout = 100ms;
  values.mock_chunk_delay_ms = 250ms;
  proxy service{values};
  const auto answer = chat(service, chat_body("m", true, "a b"));
  CHECK(answer.complete);
  CHECK(sse_events(answer.body).back() == "[DONE]");
}

TEST_CASE("deadlines: a client that does not read is disconnected", "[service][deadline]") {
  auto values = mock_settings();
  values.client_write_timeout = 300ms;
  const std::string part(8'000, 'a');
  proxy service{values, [&part](const llm_proxy::upstream_request&) {
                  fake_script script;
                  script.headers.add("content-type", "text/event-stream");
                  for (int i = 0; i < 2'000; ++i) script.steps.push_back({0ms, "data: \"" + part + "\"\n\n"});
                  return script;
                }};
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{service.port(), small};
  REQUIRE(client.send(chat_bytes(chat_body("m", true))));
  REQUIRE(client.read_until("\r\n\r\n", patience).end == read_end::done);
  CHECK(eventually([&] { return service.in_flight() == 1; }));
  CHECK(eventually([&] { return service.in_flight() == 0; }));
  CHECK(client.wait_closed(patience) != read_end::timeout);
}

TEST_CASE("deadlines: the value 0 turns a deadline off", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = values.client_body_timeout = values.keep_alive_timeout = 0ms;
  proxy service{values};
  raw_connection client{service.port()};
  CHECK(client.stays_quiet(100ms));
  const auto bytes = chat_bytes(chat_body("m"));
  REQUIRE(client.send(bytes.substr(0, 10)));
  CHECK(client.stays_quiet(100ms));
  REQUIRE(client.send(bytes.substr(10, bytes.size() - 15)));
  CHECK(client.stays_quiet(100ms));
  REQUIRE(client.send(bytes.substr(bytes.size() - 5)));
  CHECK(read_response(client, patience).status == 200);
}

}  // namespace llm_proxy::test
