// What a client may send, over a real socket: keys, bodies, framing, deadlines.
#include "support/catch.hpp"
#include "support/running_proxy.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string key_line = "x-internal-auth: " + std::string{test_key} + "\r\n";

/// Sends raw bytes, reads one answer.
response say(std::uint16_t port, std::string_view bytes) {
  raw_connection client{port};
  REQUIRE(client.send(bytes));
  return read_response(client, 5s);
}

std::string chat_request(std::string_view body, std::string_view more = {}) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line + std::string{more} +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

}  // namespace

TEST_CASE("key: x-internal-auth wins, bearer and x-api-key stand in for it", "[service][key]") {
  proxy service{mock_settings()};
  const std::string good{test_key};
  struct row {
    header_list headers;
    int status;
  };
  const std::vector<row> rows{
      {{{"x-internal-auth", good}}, 200},
      {{{"X-Internal-Auth", good}, {"authorization", "Bearer wrong"}}, 200},
      {{{"authorization", "bEaReR " + good}}, 200},
      {{{"x-api-key", good}}, 200},
      {{}, 401},
      {{{"x-internal-auth", "wrong"}, {"authorization", "Bearer " + good}}, 401},
      {{{"x-internal-auth", ""}, {"authorization", "Bearer " + good}}, 401},
      {{{"x-internal-auth", good}, {"x-internal-auth", good}}, 401},
      {{{"x-internal-auth", good + "x"}}, 401},
      {{{"x-internal-auth", good.substr(1)}}, 401},
      {{{"authorization", "Basic " + good}}, 401},
  };
  for (const auto& row : rows) {
    const auto answer = request(service.port(), "GET", "/v1/models", row.headers);
    CHECK(answer.status == row.status);
  }
  const auto refused = request(service.port(), "GET", "/no/such/path");
  CHECK(refused.status == 401);
  CHECK(refused.header("www-authenticate") == "Bearer");
  CHECK(refused.body.find(R"({"detail":"unauthorized","error":{)") == 0);
}

TEST_CASE("body: malformed is 400, wrong shape 422, wrong type 415, too long 413", "[service][body]") {
  auto values = mock_settings();
  values.max_body_bytes = 1000;
  proxy service{values};
  const auto status = [&](std::string_view body, std::string_view more = {}) {
    return say(service.port(), chat_request(body, more)).status;
  };
  const auto good = chat_body("m");
  CHECK(status(good) == 200);
  CHECK(status("") == 400);
  CHECK(status("{") == 400);
  CHECK(status(good + "x") == 400);
  CHECK(status("{\"model\":\"\xff\",\"messages\":[]}") == 400);
  CHECK(status("[]") == 422);
  CHECK(status(R"({"model":"m","messages":[{"content":"x"}]})") == 422);
  CHECK(status(R"({"model":"m","messages":[{"role":"user","content":"\ud800"}],"x":1e400})") == 200);
  CHECK(status(good, "content-type: text/plain\r\n") == 415);
  CHECK(status(good, "content-encoding: gzip\r\n") == 415);
  CHECK(status(good, "expect: the-unexpected\r\n") == 417);
  CHECK(status(std::string(1001, ' ')) == 413);
}

TEST_CASE("body: one that comes in many reads is served", "[service][body]") {
  // A session that waits for its body is referred to by nobody: CAF once ended it there.
  proxy service{mock_settings()};
  const auto answer = say(service.port(), chat_request(chat_body("m", false, std::string(3'000'000, 'a'))));
  CHECK(answer.status == 200);
  raw_connection slow{service.port()};
  const auto bytes = chat_request(chat_body("m"));
  for (const char c : bytes) REQUIRE(slow.send({&c, 1}));
  CHECK(read_response(slow, 5s).status == 200);
}

TEST_CASE("body: nesting of 100,000 levels is neither a crash nor slow", "[service][body]") {
  proxy service{mock_settings()};
  const auto deep = std::string(100'000, '[') + std::string(100'000, ']');
  const auto answer = say(service.port(), chat_request(R"({"model":"m","messages":[],"x":)" + deep + "}"));
  CHECK(answer.status == 200);
}

TEST_CASE("head: what two parsers could read in two ways is refused", "[service][head]") {
  proxy service{mock_settings()};
  const std::string get = "GET /health HTTP/1.1\r\n";
  const std::string post = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line;
  const std::vector<std::pair<std::string, int>> rows{
      {get + "host: x\r\n\r\n", 200},
      {"\r\n" + get + "host: x\r\n\r\n", 200},
      {"GET http://any.host/health?x HTTP/1.1\r\nhost: x\r\n\r\n", 200},
      {get + "\r\n", 400},
      {get + "host: a\r\nhost: b\r\n\r\n", 400},
      {get + "host: a b\r\n\r\n", 400},
      {"GET /health HTTP/1.1\nhost: x\n\n", 400},
      {get + "host: x\r\na: b\r\n c\r\n\r\n", 400},
      {get + "host: x\r\na : b\r\n\r\n", 400},
      {get + "host: x\r\na: \x01\r\n\r\n", 400},
      {"GET /health HTTP/2.0\r\nhost: x\r\n\r\n", 505},
      {"FETCH /health HTTP/1.1\r\nhost: x\r\n\r\n", 501},
      {post + "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400},
      {post + "content-length: 1\r\ncontent-length: 1\r\n\r\n", 400},
      {post + "transfer-encoding: gzip, chunked\r\n\r\n", 400},
      {post + "transfer-encoding: chunked\r\n\r\nzz\r\n", 400},
      {post + "transfer-encoding: chunked\r\n\r\n1;" + std::string(40'000, 'a'), 400},
      {"GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nhost: x\r\n\r\n", 414},
      {get + "host: x\r\na: " + std::string(33'000, 'a') + "\r\n\r\n", 431},
  };
  for (const auto& [bytes, status] : rows) {
    INFO(bytes.substr(0, 100));
    const auto answer = say(service.port(), bytes);
    CHECK(answer.status == status);
    if (status != 200) CHECK(answer.header("connection") == "close");
  }
}

TEST_CASE("connection: pipelined requests are answered in order, a stream among them",
          "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  const std::string health = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
  REQUIRE(client.send(health + chat_request(chat_body("m", true)) +
                      "GET /v1/nothing HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n" + health));
  CHECK(read_response(client, 5s).status == 200);
  const auto stream = read_response(client, 5s);
  CHECK(stream.complete);
  CHECK(sse_events(stream.body).back() == "[DONE]");
  CHECK(read_response(client, 5s).status == 404);
  CHECK(read_response(client, 5s).status == 200);
}

TEST_CASE("connection: HTTP/1.0 gets no chunks and an end", "[service][connection]") {
  proxy service{mock_settings()};
  const auto body = chat_body("m", true);
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /v1/chat/completions HTTP/1.0\r\n" + key_line +
                      "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  const auto all = client.read_to_end(5s);
  CHECK(all.end == read_end::eof);
  CHECK(all.bytes.find("transfer-encoding") == std::string::npos);
  CHECK(all.bytes.find("data: [DONE]\n\n") != std::string::npos);
}

TEST_CASE("connection: an unwanted body is dropped and the connection kept, up to 1 MiB",
          "[service][connection]") {
  proxy service{mock_settings()};
  const auto no_key = [](std::size_t size) {
    return "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: " + std::to_string(size) +
           "\r\n\r\n" + std::string(size, 'a');
  };
  raw_connection kept{service.port()};
  REQUIRE(kept.send(no_key(500'000) + "GET /health HTTP/1.1\r\nhost: x\r\n\r\n"));
  CHECK(read_response(kept, 5s).status == 401);
  CHECK(read_response(kept, 5s).status == 200);
  raw_connection ended{service.port()};
  ended.send(no_key(2'000'000));
  const auto refused = read_response(ended, 5s);
  CHECK(refused.status == 401);
  CHECK(refused.header("connection") == "close");
}

TEST_CASE("deadlines: a head, a body and an idle connection have theirs", "[service][deadline]") {
  auto values = mock_settings();
  values.client_head_timeout = values.client_body_timeout = values.keep_alive_timeout = 200ms;
  proxy service{values};
  CHECK(say(service.port(), "GET /heal").status == 408);
  CHECK(say(service.port(), chat_request(chat_body("m")).substr(0, 150)).status == 408);
  raw_connection idle{service.port()};
  CHECK(idle.wait_closed(5s) == read_end::eof);
}

TEST_CASE("streams: 200 at once each get their own words, in order", "[service][stream]") {
  proxy service{mock_settings()};
  std::vector<std::thread> clients;
  std::vector<int> good(200);
  for (std::size_t i = 0; i < good.size(); ++i) {
    clients.emplace_back([&, i] {
      const auto word = "word" + std::to_string(i);
      const auto answer =
          request(service.port(), "POST", "/v1/chat/completions",
                  {{"x-internal-auth", std::string{test_key}}}, chat_body("m", true, "a " + word + " z"));
      const auto events = sse_events(answer.body);
      good[i] =
          answer.complete && events.size() == 9 && events[5].find("\" " + word + "\"") != std::string::npos;
    });
  }
  for (auto& each : clients) each.join();
  CHECK(std::count(good.begin(), good.end(), 1) == 200);
}

TEST_CASE("drain: a stream in flight gets an in-band error when patience is over", "[service][drain]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 300ms;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(
      client.send(chat_request(chat_body("m", true, std::string(200, ' ') + "a b c d e f g h i j k l m n"))));
  REQUIRE(client.read_until("\n\n", 5s).end == read_end::done);
  CHECK_FALSE(service.drain_connections(100ms));
  const auto rest = client.read_to_end(5s);
  CHECK(rest.bytes.find(R"("code":"drained")") != std::string::npos);
  CHECK(rest.bytes.find("[DONE]") == std::string::npos);
  CHECK(rest.bytes.find("\r\n0\r\n\r\n") == std::string::npos);
  CHECK(service.in_flight() == 0);
}

}  // namespace llm_proxy::test
