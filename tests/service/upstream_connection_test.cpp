// Connections to the upstream: when one is kept, used again, closed, or replaced by a new one.
#include "support/catch.hpp"
#include "support/one_adapter.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace llm_proxy::test {

using namespace std::chrono_literals;

TEST_CASE("connections: they are kept and used again, also after streams", "[service][upstream][keepalive]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.is_true("stream")) {
      reply.sse({delta, stop, "[DONE]"});
    } else {
      ok(req, reply);
    }
  })};
  proxy service{one_thread(up.url())};
  REQUIRE(get(service, "/v1/models").status == 200);  // the connection that brought the list is idle now
  for (int i = 0; i < 6; ++i) CHECK(chat(service, chat_body("m", i % 2 == 1)).status == 200);
  CHECK(up.accepted() == 1);
}

TEST_CASE("connections: idle ones are closed after 4 s, before uvicorn closes them after 5",
          "[service][upstream][keepalive]") {
  scripted_upstream up{chats(ok)};
  proxy service{one_thread(up.url())};
  REQUIRE(chat(service, chat_body("m")).status == 200);
  const auto answered = test_clock::now();
  const auto closing = up.closing_of(chats_of(up).front().connection, 6s);
  REQUIRE(closing);
  CHECK(closing->how == read_end::eof);
  CHECK(closing->at - answered > 3500ms);
  CHECK(closing->at - answered < 4900ms);
}

TEST_CASE("connections: if a kept one dies while it is idle no request fails",
          "[service][upstream][keepalive]") {
  scripted_upstream up{chats([&](const upstream_request& req, upstream_reply& reply) {
    ok(req, reply);
    reply.close();
  })};
  proxy service{one_thread(up.url())};
  REQUIRE(get(service, "/v1/models").status == 200);
  for (int i = 0; i < 6; ++i) {
    INFO(i);
    const auto answer = chat(service, chat_body("m", i % 2 == 1));
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"ok":true})");
    CHECK(up.wait_for_open(0));
  }
  CHECK(chats_of(up).size() == 6);
  CHECK(contains(get(service, "/metrics").body, "\nllm_proxy_upstream_resends_total 0\n"));
}

TEST_CASE("connections: a POST that upstream has read is never sent again by itself",
          "[service][upstream][keepalive]") {
  std::atomic<int> how{0};
  scripted_upstream up{chats([&](const upstream_request&, upstream_reply& reply) {
    if (how == 1 || how == 3) reply.sleep(120ms);  // longer than TCP delays acknowledgements
    if (how < 2) return reply.close();
    if (how < 4) return reply.reset();
    reply.send("HTTP/1.1 ");
    reply.close();
  })};
  for (const bool keyed : {false, true}) {
    for (how = 0; how < 5; ++how) {
      for (const bool streamed : {false, true}) {
        INFO(how << (streamed ? ", streamed" : "") << (keyed ? ", idempotency-key" : ""));
        proxy service{one_thread(up.url())};
        REQUIRE(get(service, "/v1/models").status == 200);  // leaves a kept connection
        up.clear_requests();
        const auto accepted = up.accepted();
        const auto answer = chat(service, chat_body("m", streamed),
                                 keyed ? header_list{{"idempotency-key", "k"}} : header_list{});
        CHECK(answer.status == 502);
        CHECK(contains(answer.body, R"("code":"upstream_disconnected")"));
        CHECK(answer.header("x-should-retry") == "true");
        CHECK(answer.header("x-llm-proxy-error-source") == "litellm");
        CHECK(chats_of(up).size() == 1);
        CHECK(up.accepted() == accepted);
      }
    }
  }
}

TEST_CASE("connections: with RETRIES a POST is tried again, because the operator wants that",
          "[service][upstream][keepalive]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.number > 0) return reply.close();
    ok(req, reply);
  })};
  auto values = one_thread(up.url());
  values.retries = 1;
  proxy service{values};
  REQUIRE(get(service, "/v1/models").status == 200);
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chats_of(up).size() == 2);
  const auto counted = get(service, "/metrics").body;
  CHECK(contains(counted, "\nllm_proxy_retries_total 1\n"));
  CHECK(contains(counted, "\nllm_proxy_upstream_resends_total 0\n"));
}

TEST_CASE("connections: GET and DELETE are sent again once, and never after a byte of an answer",
          "[service][upstream][keepalive]") {
  std::atomic<int> how{0};
  const auto is_response = [](const upstream_request& req) { return contains(req.target, "/responses/"); };
  scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
    if (!is_response(req)) {
      reply.json(200, R"({"data":[]})");
    } else if (how == 0 && req.number == 0) {
      reply.json(200, R"({"id":"r"})");
    } else {
      if (how == 2) reply.send("HTTP/1.1 ");
      reply.close();
    }
  }};
  for (const auto* method : {"GET", "DELETE"}) {
    const auto counted = [&](const proxy& service) {
      const auto answer = request(service.port(), method, "/v1/responses/r", {key_field});
      const auto all = up.requests();
      return std::pair{answer.status, std::count_if(all.begin(), all.end(), is_response)};
    };
    for (const auto& [ends, status, times, resends] :
         {std::tuple{0, 200, 2, "1"}, std::tuple{1, 502, 2, "1"}, std::tuple{2, 502, 1, "0"}}) {
      INFO(method << ' ' << ends);
      how = ends;
      proxy service{one_thread(up.url())};
      REQUIRE(get(service, "/v1/models").status == 200);
      up.clear_requests();
      CHECK((counted(service) == std::pair{status, std::ptrdiff_t{times}}));
      CHECK(contains(get(service, "/metrics").body,
                     "\nllm_proxy_upstream_resends_total " + std::string{resends} + '\n'));
    }
  }
}

TEST_CASE("connections: an upload gets a new one, and a large body is sent only once",
          "[service][upstream][keepalive]") {
  std::atomic<bool> resets{false};
  scripted_upstream up{chats([&resets](const upstream_request& req, upstream_reply& reply) {
    if (resets && req.number > 0) return reply.reset();
    ok(req, reply);
  })};
  proxy service{one_thread(up.url())};
  for (int i = 0; i < 4; ++i) {
    INFO(i);
    resets = false;
    REQUIRE(chat(service, chat_body("m")).status == 200);  // leaves a kept connection
    resets = true;
    up.clear_requests();
    const auto large = chat_body("m", false, std::string(3'000'000, 'b'));
    CHECK(chat(service, large).status == 502);
    CHECK(chats_of(up).size() == 1);
    CHECK((wait_for_chat(up).body == large));
    resets = false;
    REQUIRE(chat(service, chat_body("m")).status == 200);
    resets = true;
    up.clear_requests();
    const std::string file = "--x\r\n\r\n" + std::string(3'000'000, 'f') + "\r\n--x--\r\n";
    CHECK(request(service.port(), "POST", "/v1/audio/transcriptions",
                  {key_field, {"content-type", "multipart/form-data; boundary=x"}}, file)
              .status == 200);
    CHECK((wait_for_chat(up).body == file));
  }
}

TEST_CASE("connections: if a kept one is dead and a new one fails, too, the request is a 502",
          "[service][upstream][keepalive]") {
  std::optional<scripted_upstream> up;
  up.emplace(chats([&](const auto& req, auto& reply) { ok(req, reply); }));
  proxy service{one_thread(up->url())};
  REQUIRE(chat(service, chat_body("m")).status == 200);
  up.reset();  // closes the kept connection, and nobody listens any more
  const auto answer = chat(service, chat_body("m"));
  CHECK(answer.status == 502);
  CHECK(contains(answer.body, R"("code":"upstream_unreachable")"));
}

TEST_CASE("connections: one with bytes beyond its answer is not used again",
          "[service][upstream][keepalive]") {
  const std::string smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"stolen\":1}";
  std::atomic<int> how{0};
  scripted_upstream up{chats([&](const upstream_request&, upstream_reply& reply) {
    const std::string whole = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
    if (how == 0) {
      reply.send(whole + smuggled);
    } else if (how == 1) {
      reply.send(whole);
      reply.sleep(1ms);
      reply.send(smuggled);
    } else {
      reply.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n{\"ok\":true}\r\n0\r\n\r\n" +
                 smuggled);
    }
  })};
  proxy service{one_thread(up.url())};
  for (int each : {0, 1, 2}) {
    how = each;
    INFO(each);
    for (int i = 0; i < 4; ++i) {
      CHECK(chat(service, chat_body("m")).body == R"({"ok":true})");
      if (each == 1) CHECK(up.closing_of(chats_of(up).back().connection, 2s));
    }
  }
  std::set<std::size_t> used;
  for (const auto& req : chats_of(up)) CHECK(used.insert(req.connection).second);
}

TEST_CASE("connections: one that upstream wants to close is not used again",
          "[service][upstream][keepalive]") {
  std::atomic<int> how{0};
  scripted_upstream up{chats([&](const auto&, upstream_reply& reply) {
    if (how == 0) reply.json(200, "{}", {{"connection", "close"}});
    if (how == 1) reply.json(200, "{}", {{"connection", "Keep-Alive, Close"}});
    if (how == 2) reply.send("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}");
  })};
  proxy service{one_thread(up.url())};
  for (int each : {0, 1, 2}) {
    how = each;
    INFO(each);
    CHECK(chat(service, chat_body("m")).status == 200);
    CHECK(up.closing_of(chats_of(up).back().connection, 2s));
  }
}

TEST_CASE("connections: an answer before the request was read is passed on, and the connection is closed",
          "[service][upstream][keepalive]") {
  scripted_upstream::options how;
  how.read_bodies = false;
  how.receive_buffer = 4096;
  scripted_upstream up{chats([](const auto&, upstream_reply& reply) {
                         reply.json(413, R"({"error":{"message":"too large"}})");
                         reply.half_close();
                         reply.read_body(5s);
                       }),
                       how};
  proxy service{one_thread(up.url())};
  const auto answer = chat(service, chat_body("m", false, std::string(8'000'000, 'a')));
  CHECK(answer.status == 413);
  CHECK(contains(answer.body, "too large"));
  CHECK(up.closing_of(chats_of(up).back().connection, 2s));
}

TEST_CASE("connections: 1xx answers are skipped", "[service][upstream]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    reply.send(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx-ratelimit-a: 1\r\n\r\n");
    reply.sleep(5ms);
    reply.send("HTTP/1.1 102 Processing\r\n\r\n");
    ok(req, reply);
  })};
  proxy service{one_thread(up.url())};
  REQUIRE(get(service, "/v1/models").status == 200);
  for (int i = 0; i < 2; ++i) {
    const auto answer = chat(service, chat_body("m"));
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"ok":true})");
    CHECK(answer.interim.empty());
    CHECK_FALSE(answer.has("x-ratelimit-a"));
  }
  CHECK(up.accepted() == 1);
}

}  // namespace llm_proxy::test
