// A connection's life: keep-alive, pipelining, HTTP/1.0, 100-continue, bodies in pieces, early answers.
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::string unauthorized_post(std::size_t size, std::string_view more = {}) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + std::string{more} +
         "content-length: " + std::to_string(size) + "\r\n\r\n";
}

}  // namespace

TEST_CASE("connection: it is kept for request after request", "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  for (int i = 0; i < 20; ++i) {
    const auto word = "word" + std::to_string(i);
    REQUIRE(client.send(chat_bytes(chat_body("m", i % 2 == 1, word))));
    const auto answer = read_response(client, patience);
    CHECK(answer.status == 200);
    CHECK(answer.complete);
    CHECK_FALSE(answer.has("connection"));
    CHECK(holds(answer.body, word));
  }
}

TEST_CASE("connection: pipelined requests are answered in order, a stream among them",
          "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  REQUIRE(client.send(get_health + chat_bytes(chat_body("m", true, "first")) +
                      "GET /v1/nothing HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n" +
                      chat_bytes(chat_body("m", false, "second")) + chunked_chat_head +
                      in_chunks(chat_body("m", true, "third"), 7) + "\r\n" + get_health));
  CHECK(read_response(client, patience).status == 200);
  const auto stream = read_response(client, patience);
  CHECK(holds(stream.body, "first"));
  CHECK(sse_events(stream.body).back() == "[DONE]");
  CHECK(read_response(client, patience).status == 404);
  CHECK(holds(read_response(client, patience).body, "second"));
  CHECK(holds(read_response(client, patience).body, "third"));
  CHECK(holds(read_response(client, patience).body, "healthy"));
}

TEST_CASE("connection: 500 requests in one write get 500 answers", "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  std::string all;
  for (int i = 0; i < 500; ++i) {
    all += "GET /v1/models/m" + std::to_string(i) + " HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n";
  }
  std::thread writer{[&] { client.send(all); }};
  int right = 0;
  for (int i = 0; i < 500; ++i) {
    const auto answer = read_response(client, patience);
    right += answer.status == 404 && holds(answer.body, "'m" + std::to_string(i) + "'") ? 1 : 0;
  }
  writer.join();
  CHECK(right == 500);
}

TEST_CASE("connection: it ends after a request that asks for that", "[service][connection]") {
  proxy service{mock_settings()};
  for (const std::string stream : {"0", "1"}) {
    raw_connection client{service.port()};
    REQUIRE(client.send(chat_bytes(chat_body("m", stream == "1"), "Connection: x, Close\r\n") + get_health));
    const auto answer = read_response(client, patience);
    CHECK(answer.status == 200);
    CHECK(answer.complete);
    CHECK(answer.header("connection") == "close");
    const auto rest = client.read_to_end(patience);
    CHECK(rest.end == read_end::eof);
    CHECK(rest.bytes.empty());
  }
}

TEST_CASE("connection: with HTTP/1.0 there are no chunks, and it ends unless the client asks to keep it",
          "[service][connection]") {
  proxy service{mock_settings()};
  const auto ask = [](bool stream, std::string_view more) {
    const auto body = chat_body("m", stream);
    return "POST /v1/chat/completions HTTP/1.0\r\n" + key_line + std::string{more} +
           "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  for (const auto* more : {"", "connection: keep-alive\r\n"}) {
    raw_connection client{service.port()};
    REQUIRE(client.send(ask(true, more)));
    const auto all = client.read_to_end(patience);
    CHECK(all.end == read_end::eof);
    CHECK(holds(all.bytes, "connection: close\r\n"));
    CHECK_FALSE(holds(all.bytes, "transfer-encoding"));
    CHECK(holds(all.bytes, "\r\n\r\ndata: {"));
    CHECK(all.bytes.substr(all.bytes.size() - 14) == "data: [DONE]\n\n");
  }
  raw_connection closed{service.port()};
  REQUIRE(closed.send(ask(false, "")));
  CHECK(read_response(closed, patience).header("connection") == "close");
  CHECK(closed.wait_closed(patience) == read_end::eof);
  raw_connection kept{service.port()};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(kept.send(ask(false, "connection: Keep-Alive\r\n")));
    const auto answer = read_response(kept, patience);
    CHECK(answer.status == 200);
    CHECK(answer.header("connection") == "keep-alive");
  }
}

TEST_CASE("connection: a stream that breaks does not look whole to HTTP/1.0", "[service][connection]") {
  proxy service{mock_settings(), [](const llm_proxy::upstream_request&) {
                  fake_script script;
                  script.headers.add("content-type", "text/event-stream");
                  script.steps.push_back({0ms, "data: {\"choices\":[]}\n\n"});
                  script.steps.push_back({50ms, "data: half"});
                  script.fails = failure{.code = errc::upstream_disconnected};
                  return script;
                }};
  const auto body = chat_body("m", true);
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /v1/chat/completions HTTP/1.0\r\n" + key_line +
                      "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body));
  const auto all = client.read_to_end(patience);
  CHECK(holds(all.bytes, R"("code":"upstream_disconnected")"));
  CHECK_FALSE(holds(all.bytes, "half"));
  // In HTTP/1.0 the end of the connection ends the body, so a clean end would look like a success.
  CHECK(all.end == read_end::reset);
}

TEST_CASE("connection: 100-continue is sent when the body is wanted", "[service][connection]") {
  proxy service{mock_settings()};
  const auto body = chat_body("m");
  const auto bytes = chat_bytes(body, "expect: 100-Continue\r\n");
  const auto head = bytes.substr(0, bytes.size() - body.size());
  raw_connection client{service.port()};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(client.send(head));
    CHECK(client.read_until("\r\n\r\n", patience).bytes == "HTTP/1.1 100 Continue\r\n\r\n");
    REQUIRE(client.send(body));
    const auto answer = read_response(client, patience);
    CHECK(answer.status == 200);
    CHECK(answer.interim.empty());
  }
  // The body was sent with the head, so the client does not wait for 100-continue.
  REQUIRE(client.send(bytes));
  CHECK(read_response(client, patience).interim.empty());
}

TEST_CASE("connection: no 100-continue for a body that is refused", "[service][connection]") {
  auto values = mock_settings();
  values.max_body_bytes = 1000;
  proxy service{values};
  const std::string expect = "expect: 100-continue\r\n";
  const auto begin = [&](std::string_view path, std::string_view more) {
    return "POST " + std::string{path} + " HTTP/1.1\r\nhost: x\r\n" + expect + std::string{more} + "\r\n";
  };
  const std::vector<std::pair<std::string, int>> rows{
      {begin("/v1/chat/completions", "content-length: 10\r\n"), 401},
      {begin("/nowhere", key_line + "content-length: 10\r\n"), 404},
      {begin("/v1/models", key_line + "content-length: 10\r\n"), 405},
      {begin("/v1/chat/completions", key_line + "content-length: 1001\r\n"), 413},
      {begin("/v1/chat/completions", key_line + "content-type: text/css\r\ncontent-length: 10\r\n"), 415},
  };
  for (const auto& [head, status] : rows) {
    raw_connection client{service.port()};
    REQUIRE(client.send(head));
    const auto answer = read_response(client, patience);
    CHECK(answer.status == status);
    CHECK(answer.interim.empty());
    // The client may or may not send the body now, so where the next request begins cannot be known.
    CHECK(answer.header("connection") == "close");
    CHECK(client.wait_closed(patience) == read_end::eof);
  }
}

TEST_CASE("connection: a chunked body may be split anywhere", "[service][connection]") {
  proxy service{mock_settings()};
  const auto body = chat_body("m", false, "split \xc3\xa4\xe2\x82\xac anywhere");
  const auto chunked = chunked_chat_head + in_chunks(body, 5);
  raw_connection client{service.port()};
  // All ways to cut the request in two, on one connection.
  for (std::size_t at = chunked_chat_head.size() - 6; at < chunked.size(); ++at) {
    REQUIRE(client.send(chunked.substr(0, at)));
    if (at % 8 == 0) std::this_thread::sleep_for(1ms);  // so that the parts arrive in two reads
    REQUIRE(client.send(chunked.substr(at)));
    const auto answer = read_response(client, patience);
    INFO("cut at " << at);
    REQUIRE(answer.status == 200);
    CHECK(holds(answer.body, "split \xc3\xa4\xe2\x82\xac anywhere"));
  }
  const auto odd = "00B;a=\"b;\\\"c\" ; d\r\n" + body.substr(0, 11) + "\r\n" +
                   in_chunks(body.substr(11), 1000).substr(0, in_chunks(body.substr(11), 1000).size() - 2) +
                   "x-trailer: y\r\n\r\n";
  REQUIRE(client.send_slowly(chunked_chat_head + odd, 1, 0ms));
  CHECK(read_response(client, patience).status == 200);
  REQUIRE(client.send(get_health));
  CHECK(read_response(client, patience).status == 200);
}

TEST_CASE("connection: a head may come byte by byte", "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  REQUIRE(client.send_slowly("\r\n" + chat_bytes(chat_body("m")), 1, 0ms));
  CHECK(read_response(client, patience).status == 200);
}

TEST_CASE("connection: an absolute target is routed by its path, and a query is not part of the path",
          "[service][connection]") {
  auto values = mock_settings();
  values.ui = false;  // otherwise "/" is a page
  proxy service{values};
  const auto status = [&](const std::string& target) {
    return request(service.port(), "GET", target, with_key).status;
  };
  CHECK(status("http://elsewhere.example/v1/models?limit=1") == 200);
  CHECK(status("https://x/v1/models/mock-llm?") == 200);
  CHECK(status("http://x") == 404);
  CHECK(status("http://x?/health") == 404);
  CHECK(status("/v1/models?x=/health") == 200);
  CHECK(request(service.port(), "POST", "/v1/chat/completions?api-version=1", with_key, chat_body("m"))
            .status == 200);
}

TEST_CASE("connection: up to 1 MiB of an unwanted body is dropped and the connection kept",
          "[service][connection]") {
  auto values = mock_settings();
  values.max_body_bytes = 1000;
  proxy service{values};
  const std::string filler(700'000, 'a');
  const auto length = "content-length: " + std::to_string(filler.size()) + "\r\n\r\n";
  const std::string chat_line = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
  const std::vector<std::pair<std::string, int>> rows{
      {chat_line + length, 401},
      {"POST /nowhere HTTP/1.1\r\nhost: x\r\n" + key_line + length, 404},
      {"POST /health HTTP/1.1\r\nhost: x\r\n" + length, 405},
      {chat_line + key_line + length, 413},
      {chat_line + key_line + "content-type: text/css\r\n" + length, 415},
  };
  raw_connection client{service.port()};
  for (const auto& [head, status] : rows) {
    REQUIRE(client.send(head));
    const auto early = read_response(client, patience);  // comes before any of the body was sent
    CHECK(early.status == status);
    CHECK_FALSE(early.has("connection"));
    REQUIRE(client.send(filler + get_health));
    CHECK(read_response(client, patience).status == 200);
  }
  REQUIRE(client.send(chunked_chat_head.substr(0, chunked_chat_head.size() - 2) +
                      "content-type: a/b\r\n\r\n" + in_chunks(filler, 10'000) + get_health));
  CHECK(read_response(client, patience).status == 415);
  CHECK(read_response(client, patience).status == 200);
}

TEST_CASE("connection: beyond 1 MiB it ends, and a client that still sends gets its answer",
          "[service][connection]") {
  proxy service{mock_settings()};
  for (int round = 0; round < 5; ++round) {
    raw_connection client{service.port()};
    REQUIRE(client.send(unauthorized_post(20'000'000)));
    // Simple clients send the whole body before they look for an answer.
    REQUIRE(client.send(std::string(20'000'000, 'a')));
    const auto refused = read_response(client, patience);
    CHECK(refused.status == 401);
    CHECK(refused.header("connection") == "close");
    CHECK(refused.complete);
    CHECK(client.read_to_end(patience).end == read_end::eof);
  }
  // A chunked body does not say how long it is, so the connection ends after the answer.
  raw_connection chunked{service.port()};
  REQUIRE(chunked.send("POST /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"));
  REQUIRE(chunked.send(in_chunks(std::string(3'000'000, 'a'), 60'000)));
  CHECK(read_response(chunked, patience).status == 405);
  CHECK(chunked.read_to_end(patience).end == read_end::eof);
}

TEST_CASE("connection: after its end it reads and drops bytes for at most 2 seconds",
          "[service][connection]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  REQUIRE(client.send(unauthorized_post(50'000'000)));
  CHECK(read_response(client, patience).status == 401);
  CHECK(client.read_to_end(patience).end == read_end::eof);  // the service ends its side immediately
  const auto since = test_clock::now();
  while (test_clock::now() - since < 6s && client.send(std::string(1000, 'a'))) {
    std::this_thread::sleep_for(20ms);
  }
  const auto took = test_clock::now() - since;
  CHECK(took > 1500ms);
  CHECK(took < 4s);
}

TEST_CASE("connection: a client that closes its sending side early still gets a refusal it reads slowly",
          "[service][connection]") {
  // The answer is larger than the socket's buffer and has `connection: close`, and the client sends its FIN
  // before it has read all of it.
  scripted_upstream upstream{[](const upstream_request& asked, upstream_reply& reply) {
    if (asked.method != "POST") return void(reply.json(404, "{}"));
    reply.json(400, R"({"error":{"message":")" + std::string(3'000'000, 'a') + R"("}})");
  }};
  proxy service{litellm_settings(upstream.url())};
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{service.port(), small};
  REQUIRE(client.send(chat_bytes(chat_body("m"), "connection: close\r\n")));
  response_reader reader{client};
  REQUIRE(reader.read_head(patience));
  client.half_close();
  while (reader.read_more(patience)) {
  }
  CHECK(reader.answer().complete);
  CHECK(reader.answer().body.size() > 3'000'000);
}

}  // namespace llm_proxy::test
