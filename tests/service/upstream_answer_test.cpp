// What the client gets of an upstream's answer that is not a stream: its status, headers and body.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"
#include "support/whole_answers.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

const std::string odd_json = " {\"ok\" : 1.0,\"n\":9007199254740993,\"x\":1,\"x\":null,\"s\":\"\\ud800\"}\n";

}  // namespace

TEST_CASE("answer: its body reaches the client byte for byte", "[service][upstream][answer]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& body :
       {odd_json, "{}" + std::string(100'000, ' '), R"({"a":")" + std::string(3'000'000, 'b') + "\"}"}) {
    up.set_script(always({200, body}));
    auto answer = chat(service, chat_body("m"));
    CHECK(answer.status == 200);
    CHECK((answer.body == body));
    CHECK(answer.header("content-length") == std::to_string(body.size()));
    // A chunked answer must arrive as the same body.
    up.set_script(chats([body](const auto&, auto& reply) {
      reply.head(200, {{"content-type", "application/json"}, {"transfer-encoding", "chunked"}});
      for (std::size_t at = 0; at < body.size(); at += 7001) reply.chunk(body.substr(at, 7001));
      reply.end_chunks({{"x-trailer", "1"}});
    }));
    answer = chat(service, chat_body("m"));
    CHECK((answer.status == 200 && answer.body == body));
    up.set_script(chats([body](const auto&, auto& reply) {
      reply.head(200, {{"content-type", "application/json"}, {"connection", "close"}});
      reply.send(body);
      reply.close();
    }));
    answer = chat(service, chat_body("m"));
    CHECK((answer.status == 200 && answer.body == body));
  }
}

TEST_CASE("answer: the headers that come back, and those that do not", "[service][upstream][answer]") {
  const header_list back{{"content-type", "application/json; charset=utf-8"},
                         {"retry-after", "1"},
                         {"retry-after-ms", "900"},
                         {"x-should-retry", "false"},
                         {"x-ratelimit-remaining-requests", "9"},
                         {"anthropic-ratelimit-tokens-limit", "5"},
                         {"openai-processing-ms", "12"},
                         {"openai-version", "2020-10-01"},
                         {"request-id", "req_1"},
                         {"x-litellm-call-id", "c"},
                         {"X-LiteLLM-Model-Id", "m"},
                         {"x-litellm-response-cost", "0.1"},
                         {"llm_provider-retry-after", "3"},
                         {"llm_provider-openai-processing-ms", "7"}};
  const std::vector<std::string> withheld{"x-litellm-key-spend",
                                          "X-Litellm-Model-Api-Base",
                                          "llm_provider-set-cookie",
                                          "set-cookie",
                                          "server",
                                          "via",
                                          "x-powered-by",
                                          "access-control-allow-origin",
                                          "etag",
                                          "x-internal",
                                          "location",
                                          "keep-alive",
                                          "x-request-id",
                                          "alt-svc",
                                          "strict-transport-security"};
  wanted answer{200, R"({"ok":true})", back};
  for (const auto& name : withheld) answer.headers.emplace_back(name, "from-upstream");
  answer.headers.emplace_back("date", "Thu, 01 Jan 1970 00:00:00 GMT");
  scripted_upstream up{always(answer)};
  proxy service{litellm_settings(up.url())};
  const auto got = chat(service, chat_body("m"), {{"x-request-id", "mine"}});
  for (const auto& [name, value] : back) {
    INFO(name);
    CHECK(got.all(name) == std::vector<std::string>{value});
  }
  CHECK_FALSE(contains(got.head, "from-upstream"));
  CHECK_FALSE(contains(got.head, "1970"));
  CHECK(got.all("x-request-id") == std::vector<std::string>{"mine"});
  CHECK(got.all("date").size() <= 1);
  CHECK(got.all("content-length").size() == 1);
}

TEST_CASE("answer: a JSON body is labelled as JSON whatever upstream said", "[service][upstream][answer]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  up.set_script(always({200, R"({"ok":1})", {}}));
  CHECK(chat(service, chat_body("m")).all("content-type") == std::vector<std::string>{"application/json"});
  up.set_script(always({200, R"({"ok":1})", {{"content-type", "text/plain"}}}));
  CHECK(chat(service, chat_body("m")).all("content-type") == std::vector<std::string>{"application/json"});
}

TEST_CASE("answer: a success whose body is not one whole JSON value is a 502, also for streams",
          "[service][upstream][answer]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    const header_list json{{"content-type", "application/json"}};
    const header_list sized{{"content-type", "application/json"}, {"content-length", "100"}};
    if (what == "html") reply.json(200, "<html>It works!</html>", {});
    if (what == "empty") reply.json(200, "");
    if (what == "no-content") reply.head(204, {});
    if (what == "utf8") reply.json(200, "{\"a\":\"\xff\"}");
    if (what == "two") reply.json(200, "{}{}");
    if (what == "nul") reply.json(200, std::string("{}\0", 3));
    if (what == "half") reply.json(200, "{\"a\":");
    if (what == "cut" || what == "reset") {
      reply.head(200, sized);
      reply.send("{\"a\":1}");
      if (what == "cut") reply.close();
      if (what == "reset") reply.reset();
    }
    if (what == "bodiless") {
      reply.head(200, sized);
      reply.close();
    }
    if (what == "half-head" || what == "half-line") {
      reply.send(what == "half-line" ? "HTTP/1.1 20" : "HTTP/1.1 200 OK\r\ncontent-type: appl");
      reply.close();
    }
    if (what == "cut-chunk") {
      reply.head(200, {{"content-type", "application/json"}, {"transfer-encoding", "chunked"}});
      reply.send("8\r\n{\"a\":1}\n");
      reply.close();
    }
    if (what == "bad-chunk") {
      reply.head(200, {{"content-type", "application/json"}, {"transfer-encoding", "chunked"}});
      reply.chunk("{\"a\":1}");
      reply.send("zz\r\n");
      reply.close();
    }
    if (what == "unknown-coding") {
      reply.head(200, {{"content-type", "application/json"}, {"transfer-encoding", "gzip, chunked"}});
      reply.chunk("{\"a\":1}");
      reply.end_chunks();
    }
    if (what == "two-lengths") {
      reply.head(200, {{"content-length", "7"}, {"content-length", "8"}});
      reply.send("{\"a\":1} ");
    }
    if (what == "no-http") reply.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    if (what == "http2") reply.send("HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    if (what == "upgrade")
      reply.send("HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    if (what == "endless-head") {
      reply.send("HTTP/1.1 200 OK\r\n");
      while (reply.send("x-filler: " + std::string(1000, 'a') + "\r\n")) {
      }
    }
    if (what == "nothing") reply.close();
    if (what == "nothing-reset") reply.reset();
  })};
  proxy service{litellm_settings(up.url())};
  const std::string unusable = "upstream_invalid_response";
  const std::string broken = "upstream_disconnected";
  const std::string no_json = "The model gateway's answer is not valid JSON.";
  const std::string no_http = "The model gateway's answer is not valid HTTP.";
  const std::string nothing = "The model gateway closed the connection without an answer.";
  const std::string bodiless = "The model gateway answered without a body.";
  struct row {
    std::string what, code, message;
  };
  const std::vector<row> rows{
      {"html", unusable, no_json},
      {"empty", unusable, bodiless},
      {"no-content", unusable, bodiless},
      {"utf8", unusable, no_json},
      {"two", unusable, no_json},
      {"nul", unusable, no_json},
      {"half", unusable, no_json},
      {"cut", broken, "The model gateway ended its answer before it was whole (7 of 100 bytes)."},
      {"reset", broken, "The model gateway "},
      {"cut-chunk", broken, "The model gateway ended its answer before it was whole (after 8 bytes)."},
      {"bodiless", broken, "The model gateway ended its answer before it was whole (0 of 100 bytes)."},
      {"half-head", broken, "The model gateway closed the connection within the head of its answer."},
      {"half-line", broken, "The model gateway closed the connection within the head of its answer."},
      {"bad-chunk", unusable, "The chunked framing of the model gateway's answer is broken."},
      {"unknown-coding", unusable, no_http},
      {"two-lengths", unusable, no_http},
      {"no-http", unusable, no_http},
      {"http2", unusable, no_http},
      {"upgrade", unusable, "The model gateway switched protocols without being asked to."},
      {"endless-head", unusable, "The head of the model gateway's answer is too large."},
      {"nothing", broken, nothing},
      {"nothing-reset", broken, nothing}};
  for (const bool stream : {false, true}) {
    for (const auto& [what, code, message] : rows) {
      INFO(what << " stream " << stream);
      const auto answer = chat(service, chat_body(what, stream));
      CHECK(answer.status == 502);
      CHECK(contains(answer.body, "\"code\":\"" + code + '"'));
      CHECK(contains(answer.body, message));
      CHECK(answer.header("x-should-retry") == "true");
      CHECK(answer.complete);
      CHECK(answer.all("content-type") == std::vector<std::string>{"application/json"});
    }
  }
}

TEST_CASE("answer: a compressed body is passed on when it is whole", "[service][upstream][answer]") {
  const std::string squeezed{"\x1f\x8b\x08\x00\xff\xfe\x00 no JSON", 16};
  const header_list gzip{{"content-type", "application/json"}, {"content-encoding", "gzip"}};
  scripted_upstream up{always({200, squeezed, gzip})};
  proxy service{litellm_settings(up.url())};
  auto answer = chat(service, chat_body("m"), {{"accept-encoding", "gzip"}});
  CHECK(answer.status == 200);
  CHECK(answer.body == squeezed);
  CHECK(answer.header("content-encoding") == "gzip");
  up.set_script(always({429, squeezed, gzip}));
  answer = chat(service, chat_body("m"), {{"accept-encoding", "gzip"}});
  CHECK(answer.status == 429);
  CHECK(answer.body == squeezed);
  up.set_script(chats([&](const auto&, auto& reply) {
    reply.head(200, {{"content-encoding", "gzip"}, {"content-length", "100"}});
    reply.send(squeezed);
    reply.close();
  }));
  CHECK(chat(service, chat_body("m"), {{"accept-encoding", "gzip"}}).status == 502);
}

TEST_CASE("answer: beyond 4 MiB it is passed on before its end, and a later cut breaks the connection",
          "[service][upstream][answer]") {
  const std::string body = R"({"a":")" + std::string(6 << 20, 'b') + "\"}";
  std::atomic<bool> cut{false};
  gate seen;
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.head(200, {{"content-type", "application/json"}, {"content-length", std::to_string(body.size())}});
    reply.send(body.substr(0, 5 << 20));
    seen.wait();  // until the client has the head, although upstream has not finished
    if (!cut) reply.send(body.substr(5 << 20));
    reply.close();
  })};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m")));
  response_reader reader{client};
  REQUIRE(reader.read_head(milliseconds{10'000}));
  seen.open();
  while (reader.read_more(milliseconds{10'000})) {
  }
  CHECK(reader.answer().complete);
  CHECK((reader.answer().body == body));
  cut = true;
  const auto broken = chat(service, chat_body("m"));
  CHECK(broken.status == 200);
  CHECK_FALSE(broken.complete);
  CHECK(broken.closed);
}

TEST_CASE("answer: a request for a stream may be answered with JSON", "[service][upstream][answer]") {
  scripted_upstream up{always({200, odd_json})};
  proxy service{litellm_settings(up.url())};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK(answer.body == odd_json);
  CHECK(answer.header("content-type") == "application/json");
}

TEST_CASE("answer: silence in the middle of the body is a 504", "[service][upstream][answer]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.head(200, {{"content-type", "application/json"}, {"content-length", "100"}});
    reply.send("{\"a\":");
    reply.hang();
  })};
  auto values = litellm_settings(up.url());
  values.idle_timeout = milliseconds{150};
  proxy service{values};
  const auto answer = chat(service, chat_body("m"));
  CHECK(answer.status == 504);
  CHECK(contains(answer.body, R"("code":"upstream_timeout")"));
}

}  // namespace llm_proxy::test
