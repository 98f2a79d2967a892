// The whole service before a scripted upstream that stands for LiteLLM: fidelity, statuses, streams, cancel.
#include "support/catch.hpp"
#include "support/running_proxy.hpp"
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string key_line = "x-internal-auth: " + std::string{test_key} + "\r\n";

response chat(const proxy& service, std::string_view body, header_list more = {}) {
  more.emplace_back("x-internal-auth", test_key);
  return request(service.port(), "POST", "/v1/chat/completions", more, std::string{body});
}

bool is_chat(const upstream_request& req) {
  return req.target == "/v1/chat/completions";
}

/// An upstream whose chats are answered by `script`; the model list is empty.
auto chats(std::function<void(const upstream_request&, upstream_reply&)> script) {
  return [script = std::move(script)](const upstream_request& req, upstream_reply& reply) {
    if (is_chat(req)) {
      script(req, reply);
    } else {
      reply.json(200, R"({"data":[]})");
    }
  };
}

const std::string delta = R"({"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})";
const std::string stop = R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";

}  // namespace

TEST_CASE("upstream: the body goes there byte for byte, credentials do not", "[service][upstream]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.json(200, R"({"ok":1.0})",
               {{"x-litellm-key-spend", "1"}, {"x-litellm-call-id", "c"}, {"set-cookie", "s"}});
  })};
  proxy service{litellm_settings(up.url(""))};
  const std::string body =
      R"({ "model":"a/b" ,"messages":[{"role":"user","content":"\u00e9\ud800"}],"n":1.0,"x":[1e-7,9007199254740993,-0],"x":null,"new":{"a":"b"} })";
  const auto answer = chat(service, body,
                           {{"authorization", "Bearer mine"},
                            {"cookie", "c=1"},
                            {"traceparent", "00-1-2-01"},
                            {"x-request-id", "my-id"}});
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"ok":1.0})");
  CHECK(answer.header("x-request-id") == "my-id");
  CHECK(answer.header("x-litellm-call-id") == "c");
  CHECK_FALSE(answer.has("x-litellm-key-spend"));
  CHECK_FALSE(answer.has("set-cookie"));
  const auto all = up.requests();
  const auto at = std::find_if(all.begin(), all.end(), is_chat);
  REQUIRE(at != all.end());
  CHECK(at->body == body);
  CHECK(at->header("authorization") == "Bearer upstream-key");
  CHECK(at->header("x-request-id") == "my-id");
  CHECK(at->header("traceparent") == "00-1-2-01");
  CHECK(at->header("accept-encoding") == "identity");
  CHECK_FALSE(at->has("cookie"));
  CHECK_FALSE(at->has("x-internal-auth"));
}

TEST_CASE("upstream: an empty model becomes the default one, and nothing else changes",
          "[service][upstream]") {
  scripted_upstream up{chats([](const auto& req, auto& reply) { reply.json(200, req.body); })};
  proxy service{litellm_settings(up.url("/prefix/"))};
  up.set_script([](const upstream_request& req, upstream_reply& reply) {
    reply.json(200, req.body.empty() ? "{}" : req.body);
  });
  const auto answer = chat(service, R"({"messages":[], "model" : "" ,"a":1.0})");
  CHECK(answer.body == R"({"messages":[], "model" : "gpt-3.5-turbo" ,"a":1.0})");
  // The model list is fetched meanwhile: which request came last is not told.
  const auto all = up.requests();
  CHECK(std::any_of(all.begin(), all.end(),
                    [](const auto& req) { return req.target == "/prefix/v1/chat/completions"; }));
}

TEST_CASE("upstream: statuses keep their meaning", "[service][upstream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto body =
        R"({"error":{"message":"m","type":")" + req.text("type") + R"(","param":null,"code":"c"}})";
    reply.json(std::stoi(req.text("model")), body, {{"retry-after", "7"}});
  })};
  proxy service{litellm_settings(up.url(""))};
  const std::vector<std::pair<int, int>> rows{{400, 400}, {402, 402}, {403, 403}, {404, 404}, {409, 409},
                                              {422, 422}, {429, 429}, {401, 502}, {408, 504}, {500, 502},
                                              {502, 502}, {503, 503}, {504, 504}, {529, 529}, {302, 502}};
  for (const auto& [from, to] : rows) {
    INFO("status " << from);
    const auto answer = chat(service, chat_body(std::to_string(from)));
    CHECK(answer.status == to);
    CHECK(answer.header("content-type") == "application/json");
    if (from == to) CHECK(answer.body.find(R"("message":"m")") != std::string::npos);
    if (from != 302) CHECK(answer.header("retry-after") == "7");
  }
  CHECK(chat(service, chat_body("401")).body.find("upstream_auth") != std::string::npos);
  CHECK(chat(service, R"({"model":"401","type":"key_model_access_denied","messages":[]})").status == 403);
}

TEST_CASE("upstream: a JSON answer that is no whole JSON is a 502, not half a 200", "[service][upstream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    if (what == "html") reply.json(200, "<html>");
    if (what == "empty") reply.json(200, "");
    if (what == "utf8") reply.json(200, "{\"a\":\"\xff\"}");
    if (what == "error") reply.json(200, R"({"error":{"message":"m","code":"429"}})");
    if (what == "cut") {
      reply.head(200, {{"content-type", "application/json"}, {"content-length", "100"}});
      reply.send("{\"a\":");
      reply.close();
    }
    if (what == "none") reply.close();
  })};
  proxy service{litellm_settings(up.url(""))};
  for (const auto* what : {"html", "empty", "utf8", "cut", "none"}) {
    INFO(what);
    const auto answer = chat(service, chat_body(what));
    CHECK(answer.status == 502);
    CHECK(answer.body.find("upstream_invalid_response") != std::string::npos);
  }
  CHECK(chat(service, chat_body("error")).status == 429);
}

TEST_CASE("upstream: events arrive as they are sent, byte for byte", "[service][stream]") {
  const std::string bytes = ": hi\n\ndata: " + delta +
                            "\r\n\r\nevent: x\ndata:{\"choices\":[],\ndata:\"b\":1}\n\ndata: " + stop +
                            "\n\ndata: [DONE]\n\n";
  scripted_upstream up{chats([&](const upstream_request&, upstream_reply& reply) {
    reply.sse_head();
    for (const char c : bytes) reply.chunk({&c, 1});
    reply.end_chunks();
  })};
  proxy service{litellm_settings(up.url(""))};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  CHECK(answer.body == bytes);
}

TEST_CASE("upstream: an event of 2 MiB passes", "[service][stream]") {
  const auto big = R"({"choices":[{"index":0,"delta":{"content":")" + std::string(2'000'000, 'a') +
                   R"("},"finish_reason":"stop"}]})";
  scripted_upstream up{chats([&](const auto&, auto& reply) { reply.sse({big}); })};
  proxy service{litellm_settings(up.url(""))};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.complete);  // by its finish_reason: no [DONE] is added
  CHECK(answer.body == "data: " + big + "\n\n");
}

TEST_CASE("upstream: the first event does not wait for the second", "[service][stream]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.sse_head();
    reply.event(delta);
    reply.hang();
  })};
  proxy service{litellm_settings(up.url(""))};
  raw_connection client{service.port()};
  const auto body = chat_body("m", true);
  REQUIRE(client.send(make_request("POST", "/v1/chat/completions",
                                   {{"host", "x"}, {"x-internal-auth", std::string{test_key}}}, body)));
  CHECK(client.read_until(delta, 2s).end == read_end::done);
  // The client leaves: upstream's connection is closed at once.
  const auto left = test_clock::now();
  client.close();
  const auto all = up.requests();
  const auto at = std::find_if(all.begin(), all.end(), is_chat);
  const auto closing = up.closing_of(at->connection, 2s);
  REQUIRE(closing);
  CHECK(closing->at - left < 100ms);
}

TEST_CASE("upstream: a stream that breaks off ends as an error, without [DONE] and without an end",
          "[service][stream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    if (what == "nothing") {
      reply.sse_head();
      reply.end_chunks();
      return;
    }
    reply.sse_head();
    reply.event(delta);
    reply.chunk("data: {\"half");
    if (what == "reset") reply.reset();
    if (what == "cut") reply.close();
    if (what == "clean") reply.end_chunks();
    if (what == "bad") reply.send("zz\r\n");
    if (what == "idle") reply.hang();
  })};
  auto values = litellm_settings(up.url(""));
  values.idle_timeout = 300ms;
  proxy service{values};
  for (const std::string what : {"reset", "cut", "clean", "bad", "idle"}) {
    INFO(what);
    const auto answer = chat(service, chat_body(what, true));
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.complete);
    CHECK(answer.body.find(delta) != std::string::npos);
    CHECK(answer.body.find("half") == std::string::npos);
    CHECK(answer.body.find(what == "idle" ? "upstream_timeout" : "upstream_disconnected") !=
          std::string::npos);
    CHECK(answer.body.find("[DONE]") == std::string::npos);
  }
  CHECK(chat(service, chat_body("nothing", true)).status == 502);
}

TEST_CASE("upstream: silence before the first byte is a 504, nobody there a 502", "[service][upstream]") {
  scripted_upstream up{chats([](const auto&, auto& reply) { reply.hang(); })};
  auto values = litellm_settings(up.url(""));
  values.first_byte_timeout = 200ms;
  proxy service{values};
  const auto late = chat(service, chat_body("m"));
  CHECK(late.status == 504);
  CHECK(late.body.find("upstream_timeout") != std::string::npos);
  refused_port nobody;
  proxy alone{litellm_settings("http://127.0.0.1:" + std::to_string(nobody.port()))};
  const auto refused = chat(alone, chat_body("m"));
  CHECK(refused.status == 502);
  CHECK(refused.body.find("upstream_unreachable") != std::string::npos);
  CHECK(refused.body.find(std::to_string(nobody.port())) == std::string::npos);
  CHECK(request(alone.port(), "GET", "/v1/models", {{"x-internal-auth", std::string{test_key}}}).status ==
        502);
}

TEST_CASE("upstream: models come in its order, enriched where that is allowed", "[service][models]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/v1/models")
      reply.json(200, R"({"data":[{"id":"z/one"},{"id":"two","max_input_tokens":5}]})");
    if (req.target == "/model/info") {
      reply.json(
          200,
          R"({"data":[{"model_name":"z/one","model_info":{"max_input_tokens":9,"litellm_provider":"p"}}]})");
    }
  }};
  proxy service{litellm_settings(up.url(""))};
  const header_list key{{"x-internal-auth", std::string{test_key}}};
  const auto answer = request(service.port(), "GET", "/v1/llm/models", key);
  CHECK(answer.body ==
        R"([{"id":"z/one","name":"z/one","provider":"p","context_length":9,"is_available":true},)"
        R"({"id":"two","name":"two","provider":"LiteLLM","context_length":5,"is_available":true}])");
  CHECK(request(service.port(), "GET", "/v1/models/z%2Fone", key).status == 200);
  up.stop();
  CHECK(request(service.port(), "GET", "/v1/llm/models", key).body == answer.body);
}

TEST_CASE("upstream: connections are reused, and one that died while idle costs nobody a request",
          "[service][upstream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.number > 0 && req.text("model") == "die") {
      reply.close();
      return;
    }
    reply.json(200, R"({"ok":true})");
  })};
  auto values = litellm_settings(up.url(""));
  values.threads = 1;
  proxy service{values};
  // The model list is fetched at start: its connection is the one that is kept.
  REQUIRE(request(service.port(), "GET", "/v1/models", {{"x-internal-auth", std::string{test_key}}}).status ==
          200);
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(up.accepted() == 1);
  CHECK(chat(service, chat_body("die")).status == 200);
  CHECK(up.accepted() == 2);
}

TEST_CASE("upstream: a client that never reads costs its window, not the answer", "[service][credit]") {
  std::atomic<std::size_t> taken{0};
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    const std::string event = "data: {\"x\":\"" + std::string(8000, 'a') + "\"}\n\n";
    while (reply.chunk(event)) taken += event.size();
  })};
  proxy service{litellm_settings(up.url(""))};
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{service.port(), small};
  REQUIRE(client.send(make_request("POST", "/v1/chat/completions",
                                   {{"host", "x"}, {"x-internal-auth", std::string{test_key}}},
                                   chat_body("m", true))));
  std::size_t before = 0;
  do {  // until upstream is stopped by backpressure: socket buffers and one window
    before = taken;
    std::this_thread::sleep_for(300ms);
  } while (taken != before);
  CHECK(taken < 20'000'000);
  // Another stream goes on meanwhile.
  CHECK(request(service.port(), "GET", "/health").status == 200);
}

}  // namespace llm_proxy::test
