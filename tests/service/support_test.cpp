// Tests of the tools of the service tests, with each other. Their reports must be true before other tests
// rely on them.

#include "support/catch.hpp"
#include "support/http_client.hpp"
#include "support/scripted_upstream.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string plain_body = R"({"model":"m","messages":[{"role":"user","content":"Hi \"you\""}]})";
const std::string stream_body =
    R"({"model":"slow","stream": true,"messages":[{"role":"user","content":"a b c"}]})";

/// Returns a script that sends these bytes and then closes the connection.
upstream_script says(std::string bytes) {
  return [bytes = std::move(bytes)](const upstream_request&, upstream_reply& reply) {
    reply.send(bytes);
    reply.close();
  };
}

}  // namespace

TEST_CASE("support: the default upstream answers like LiteLLM", "[support]") {
  scripted_upstream up;
  auto models = request(up.port(), "GET", "/v1/models");
  CHECK(models.status == 200);
  CHECK(models.header("Content-Type") == "application/json");
  CHECK(models.complete);
  CHECK_FALSE(models.closed);
  CHECK(models.body.find("vendor/with/slash") != std::string::npos);

  auto chat = request(up.port(), "POST", "/v1/chat/completions", {}, plain_body);
  CHECK(chat.status == 200);
  CHECK(chat.body.find(R"(Upstream heard: Hi \"you\")") != std::string::npos);
  CHECK(request(up.port(), "GET", "/nope").status == 404);
  auto limited = request(up.port(), "POST", "/v1/chat/completions", {}, R"({"model":"status-429"})");
  CHECK(limited.status == 429);
  CHECK(limited.header("retry-after") == "7");

  auto seen = up.requests();
  REQUIRE(seen.size() == 4);
  CHECK(seen[1].method == "POST");
  CHECK(seen[1].target == "/v1/chat/completions");
  CHECK(seen[1].body == plain_body);
  CHECK(seen[1].body_complete);
  CHECK(seen[1].connection == 1);
  CHECK(seen[1].head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"));
  CHECK(up.accepted() == 4);
  CHECK(up.wait_for_open(0));
  CHECK(up.closings().size() == 4);
  CHECK(up.script_errors().empty());
}

TEST_CASE("support: an event stream is read event by event, with times", "[support]") {
  scripted_upstream up;
  raw_connection connection(up.port());
  REQUIRE(connection.send(make_request("POST", "/v1/chat/completions", {}, stream_body)));
  event_stream events(connection);
  REQUIRE(events.open(5s));
  CHECK(events.answer().header("content-type") == "text/event-stream; charset=utf-8");
  auto first = events.next(5s);
  REQUIRE(first);
  CHECK(first->data.find(R"("role":"assistant")") != std::string::npos);
  auto rest = events.rest(10s);
  REQUIRE(rest.size() == 7);
  CHECK(rest.back().data == "[DONE]");
  CHECK(rest[4].at - first->at >= 150ms);
  CHECK(events.answer().complete);
  CHECK(events.answer().chunks.size() == 8);
  CHECK(sse_events(events.answer().body).size() == 8);
  // The connection can be used again.
  REQUIRE(connection.send(make_request("GET", "/v1/models")));
  CHECK(read_response(connection, 5s).status == 200);
  CHECK(up.last_request().number == 1);
}

TEST_CASE("support: pipelined answers are kept apart, split requests are put together", "[support]") {
  scripted_upstream up(
      [](const upstream_request& req, upstream_reply& reply) { reply.json(200, req.target); });
  raw_connection connection(up.port());
  REQUIRE(connection.send(make_request("GET", "/a") + make_request("POST", "/b", {}, "xyz") +
                          make_request("HEAD", "/c")));
  CHECK(read_response(connection, 5s).body == "/a");
  CHECK(read_response(connection, 5s).body == "/b");
  CHECK(read_response(connection, 5s, true).status == 200);
  connection.buffer().clear();  // drops the body that the script sends even to a HEAD, if it has arrived
  REQUIRE(up.wait_for_requests(3));

  raw_connection slow(up.port());
  REQUIRE(slow.send_slowly(make_request("POST", "/slow", {{"Transfer-Encoding", "chunked"}},
                                        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
                           1, 0ms));
  CHECK(read_response(slow, 5s).body == "/slow");
  CHECK(up.last_request().body == "abcde");
  CHECK(up.last_request().body_complete);
}

TEST_CASE("support: an answer split at every byte reads the same", "[support]") {
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\nTransfer-Encoding: chunked\r\n\r\n"
      "9\r\ndata: a\r\n\r\n7\r\n\r\ndata:\r\n3;q=1\r\nb\n\n\r\n0\r\nT: z\r\n\r\nnext";
  for (std::size_t cut = 1; cut < answer.size(); ++cut) {
    scripted_upstream up([&](const upstream_request&, upstream_reply& reply) {
      reply.send(std::string_view{answer}.substr(0, cut));
      reply.sleep(1ms);
      reply.send(std::string_view{answer}.substr(cut));
    });
    raw_connection connection(up.port());
    connection.send(make_request("GET", "/"));
    auto got = read_response(connection, 5s);
    REQUIRE(got.complete);
    CHECK(got.interim == std::vector<int>{100});
    CHECK(got.reason == "OK");
    CHECK(got.all("X-a") == std::vector<std::string>{"1", "2"});
    CHECK(got.body == "data: a\r\n\r\ndata:b\n\n");
    CHECK(got.chunks.size() == 3);
    CHECK(find_header(got.trailers, "t") == "z");
    CHECK(sse_events(got.body) == std::vector<std::string>{"a", "b"});
    CHECK(connection.read_exactly(4, 5s).bytes == "next");
  }
}

TEST_CASE("support: sse_events knows every line ending and only whole events", "[support]") {
  const std::vector<std::string> two{"a\nb", "c"};
  for (const char* end : {"\n", "\r\n", "\r"}) {
    std::string e = end;
    std::string text =
        ": comment" + e + "data: a" + e + "event: x" + e + "data:b" + e + e + "data: c" + e + e;
    CHECK(sse_events(text) == two);
    CHECK(sse_events(text + "data: half" + e) == two);
    CHECK(sse_events(text + "data: half" + e, true).size() == 3);
  }
  CHECK(sse_events("data\n\n") == std::vector<std::string>{""});
  CHECK(sse_events("database: x\n\n").empty());
}

TEST_CASE("support: the ways in which an answer may end are distinguished", "[support]") {
  scripted_upstream up(says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
  auto cut = request(up.port(), "GET", "/");
  CHECK_FALSE(cut.complete);
  CHECK(cut.body == "abc");
  CHECK(cut.end == read_end::eof);
  CHECK(cut.closed);

  up.set_script(says("HTTP/1.1 200 OK\r\n\r\nall of it"));
  auto by_close = request(up.port(), "GET", "/");
  CHECK(by_close.complete);
  CHECK(by_close.body == "all of it");
  CHECK(by_close.closed);

  up.set_script(says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"));
  CHECK(request(up.port(), "GET", "/").malformed);
  up.set_script(says("garbage\r\n\r\n"));
  CHECK(request(up.port(), "GET", "/").malformed);
  up.set_script(says(""));
  CHECK(request(up.port(), "GET", "/").status == 0);

  up.set_script([](const upstream_request&, upstream_reply& reply) {
    reply.head(200, {{"transfer-encoding", "chunked"}});
    reply.chunk("abc");
    reply.sleep(100ms);
    reply.reset();
  });
  auto reset = request(up.port(), "GET", "/");
  CHECK(reset.end == read_end::reset);
  CHECK(reset.body == "abc");
  CHECK_FALSE(reset.complete);
  CHECK(reset.closed);

  up.set_script([](const upstream_request&, upstream_reply& reply) {
    reply.head(200, {{"content-length", "4"}});
    reply.send("ab");
    reply.hang();
  });
  auto begun = test_clock::now();
  auto silent = request(up.port(), "GET", "/", {}, {}, 100ms);
  CHECK(silent.end == read_end::timeout);
  CHECK(silent.body == "ab");
  CHECK_FALSE(silent.closed);
  CHECK(test_clock::now() - begun < 2s);
}

TEST_CASE("support: the upstream sees when and how its client leaves", "[support]") {
  scripted_upstream up([](const upstream_request&, upstream_reply& reply) {
    reply.sse_head();
    reply.event("one");
    reply.wait_until_closed(10s);
  });
  for (bool reset : {false, true}) {
    CAPTURE(reset);
    raw_connection connection(up.port());
    connection.send(make_request("POST", "/", {}, "{}"));
    event_stream events(connection);
    REQUIRE(events.open(5s));
    REQUIRE(events.next(5s));
    auto left = test_clock::now();
    if (reset) {
      connection.reset();
    } else {
      connection.close();
    }
    auto closing = up.closing_of(reset ? 1 : 0, 5s);
    REQUIRE(closing);
    CHECK(closing->how == (reset ? read_end::reset : read_end::eof));
    CHECK(closing->at - left < 1s);
  }
  CHECK(up.wait_for_open(0));
}

TEST_CASE("support: a half-closed client still gets its answer", "[support]") {
  scripted_upstream up([](const upstream_request& req, upstream_reply& reply) {
    reply.wait_until_closed(5s);
    reply.json(req.body_complete ? 200 : 400, "{}");
  });
  raw_connection connection(up.port());
  connection.send(make_request("POST", "/", {{"Content-Length", "9"}}, "abc"));
  connection.half_close();
  CHECK(read_response(connection, 5s).status == 400);
  CHECK(up.last_request().body == "abc");
  CHECK(connection.wait_closed(5s) == read_end::eof);
}

TEST_CASE("support: a script may answer before it has read the body, or before any request", "[support]") {
  scripted_upstream::options how;
  how.read_bodies = false;
  how.ipv6 = true;
  how.on_connect = [](upstream_reply& reply) { reply.send("hello\n"); };
  scripted_upstream up(
      [](const upstream_request&, upstream_reply& reply) {
        reply.send("HTTP/1.1 100 Continue\r\n\r\n");
        reply.json(200, reply.read_body(5s));
      },
      how);
  raw_connection::options v6;
  v6.address = "::1";
  raw_connection connection(up.port(), v6);
  CHECK(connection.read_until("\n", 5s).bytes == "hello\n");
  connection.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n");
  CHECK(connection.read_until("\r\n\r\n", 5s).bytes == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(connection.stays_quiet(50ms));
  connection.send("abcde");
  auto answer = read_response(connection, 5s);
  CHECK(answer.body == "abcde");
  CHECK_FALSE(up.requests().at(0).body_complete);
}

TEST_CASE("support: a client that does not read blocks the sender, and neither hangs at the end",
          "[support]") {
  auto begun = test_clock::now();
  {
    scripted_upstream::options how;
    how.send_buffer = 4096;
    std::atomic<bool> sent_all{false};
    scripted_upstream up([&](const upstream_request&,
                             upstream_reply& reply) { sent_all = reply.send(std::string(64u << 20, 'x')); },
                         how);
    raw_connection::options small;
    small.receive_buffer = 4096;
    raw_connection connection(up.port(), small);
    connection.send(make_request("GET", "/"));
    REQUIRE(up.wait_for_requests(1));
    std::this_thread::sleep_for(50ms);
    CHECK_FALSE(sent_all);
    CHECK(up.open() == 1);
    up.stop();
    CHECK_FALSE(sent_all);
    CHECK_THROWS_AS(raw_connection(up.port()), std::system_error);
  }
  CHECK(test_clock::now() - begun < 5s);
}

TEST_CASE("support: the upstream ends immediately, whatever its scripts wait for", "[support]") {
  auto begun = test_clock::now();
  std::vector<raw_connection> connections;
  {
    scripted_upstream up([](const upstream_request& req, upstream_reply& reply) {
      if (req.target == "/sleep") reply.sleep(1h);
      if (req.target == "/closed") reply.wait_until_closed(1h);
      if (req.target == "/hang") reply.hang();
    });
    for (const char* target : {"/sleep", "/closed", "/hang", "/idle"}) {
      connections.emplace_back(up.port());
      connections.back().send(make_request("GET", target));
    }
    connections.emplace_back(up.port());
    connections.back().send("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab");
    REQUIRE(up.wait_for_requests(4));
    REQUIRE(up.wait_for_open(5));
  }
  CHECK(test_clock::now() - begun < 3s);
  for (auto& connection : connections) CHECK(connection.wait_closed(1s) != read_end::timeout);
}

TEST_CASE("support: exceptions of scripts are recorded", "[support]") {
  scripted_upstream up(
      [](const upstream_request&, upstream_reply&) { throw std::runtime_error("script says no"); });
  CHECK(request(up.port(), "GET", "/").status == 0);
  REQUIRE(up.wait_for_open(0));
  CHECK(up.script_errors() == std::vector<std::string>{"script says no"});
}

TEST_CASE("support: many connections at once", "[support]") {
  scripted_upstream up;
  std::vector<raw_connection> connections;
  for (int i = 0; i < 200; ++i) connections.emplace_back(up.port());
  CHECK(up.wait_for_open(200));
  for (auto& connection : connections) connection.send(make_request("GET", "/v1/models"));
  for (auto& connection : connections) CHECK(read_response(connection, 5s).status == 200);
  connections.clear();
  CHECK(up.wait_for_open(0));
  CHECK(up.request_count() == 200);
}

TEST_CASE("support: a blackhole never connects, a refused port refuses", "[support]") {
  blackhole hole;
  raw_connection::options hasty;
  hasty.connect_timeout = 200ms;
  for (int i = 0; i < 3; ++i) {
    try {
      raw_connection connection(hole.port(), hasty);
      FAIL("connected to a blackhole");
    } catch (const std::system_error& problem) {
      CHECK(problem.code().value() == ETIMEDOUT);
    }
  }
  refused_port refused;
  try {
    raw_connection connection(refused.port());
    FAIL("connected to a refused port");
  } catch (const std::system_error& problem) {
    CHECK(problem.code().value() == ECONNREFUSED);
  }
}

TEST_CASE("support: recorded answers of LiteLLM can be played", "[support]") {
  scripted_upstream up([](const upstream_request& req, upstream_reply& reply) {
    reply.recorded("litellm" + req.target + ".txt");
  });
  raw_connection connection(up.port());
  connection.send(make_request("GET", "/up-429") + make_request("GET", "/up-cut-stream"));
  auto limited = read_response(connection, 5s);
  CHECK(limited.status == 429);
  CHECK(limited.header("llm_provider-retry-after") == "7");
  auto cut = read_response(connection, 5s);
  CHECK(cut.complete);
  auto events = sse_events(cut.body);
  REQUIRE(events.size() == 3);
  CHECK(events.back().starts_with(R"({"error":)"));
}

}  // namespace llm_proxy::test
