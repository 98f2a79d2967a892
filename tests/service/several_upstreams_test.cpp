// Several upstreams: how they share the load, and what happens if one cannot be reached or is left out and
// comes back.
#include "actors/service/service_parts.hpp"
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

settings several(std::vector<std::string> urls) {
  auto values = litellm_settings("");
  values.litellm_proxy_url = std::move(urls);
  return values;
}

upstream_script ok() {
  return chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.is_true("stream")) {
      reply.sse({delta, stop, "[DONE]"});
    } else {
      reply.json(200, R"({"ok":true})");
    }
  });
}

std::size_t probes_of(const scripted_upstream& up) {
  const auto all = up.requests();
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const auto& req) { return req.target == "/health/liveliness"; }));
}

bool is_left_out(const proxy& service, std::size_t upstream) {
  return !service.shared().front().upstreams->usable(upstream);
}

/// Sends requests and leaves after `patience` each time, until `count` of them have reached `up`.
void leave_early(const proxy& service, const scripted_upstream& up, std::size_t count,
                 milliseconds patience) {
  for (int i = 0; i < 100 && chats_of(up).size() < count; ++i) {
    raw_connection client{service.port()};
    REQUIRE(send_chat(client, chat_body("m", i % 2 == 1)));
    client.stays_quiet(patience);
    client.close();
  }
  REQUIRE(chats_of(up).size() >= count);
}

}  // namespace

TEST_CASE("several: every upstream gets its share, from every thread", "[service][upstream][several]") {
  scripted_upstream a{ok()}, b{ok()}, c{ok()};
  auto values = several({a.url(), b.url(), c.url()});
  values.adapter_pool_size = 1;  // fewer than upstreams, but each thread must still reach all of them
  proxy service{values};
  for (int i = 0; i < 90; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  for (const auto* each : {&a, &b, &c}) CHECK(chats_of(*each).size() > 10);
}

TEST_CASE("several: a busy upstream gets no more work while another one is idle",
          "[service][upstream][several]") {
  gate done;
  const auto slow = chats([&](const upstream_request& req, upstream_reply& reply) {
    if (req.text("model") == "slow") done.wait(10s);
    reply.json(200, R"({"ok":true})");
  });
  scripted_upstream a{slow}, b{slow};
  proxy service{several({a.url(), b.url()})};
  std::vector<raw_connection> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back(service.port());
    REQUIRE(send_chat(waiting.back(), chat_body("slow")));
    const auto count = static_cast<std::size_t>(i) + 1;
    REQUIRE(eventually([&] { return chats_of(a).size() + chats_of(b).size() == count; }));
  }
  CHECK(chats_of(a).size() == 4);
  CHECK(chats_of(b).size() == 4);
  done.open();
  for (auto& each : waiting) CHECK(read_response(each, 5s).status == 200);
}

TEST_CASE("several: if one cannot be reached no request fails", "[service][upstream][several]") {
  scripted_upstream up{ok()};
  refused_port nobody;
  blackhole silent;
  for (const auto& dead : {nobody.url(), silent.url()}) {
    INFO(dead);
    up.clear_requests();
    auto values = several({dead, up.url()});
    values.connect_timeout = 200ms;
    proxy service{values};
    for (int i = 0; i < 20; ++i) {
      const auto answer = chat(service, chat_body("m", i % 2 == 1));
      CHECK(answer.status == 200);
      CHECK(answer.complete);
    }
    CHECK(chats_of(up).size() == 20);
    CHECK(get(service, "/v1/models").status == 200);
  }
}

TEST_CASE("several: if an upload's upstream cannot be reached another one gets the whole upload",
          "[service][upstream][several]") {
  scripted_upstream up{ok()};
  refused_port nobody;
  proxy service{several({nobody.url(), up.url()})};
  const std::string body = "--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n" +
                           std::string(700'000, 'f') + "\r\n--x--\r\n";
  for (int i = 0; i < 8; ++i) {
    up.clear_requests();
    const auto answer = request(service.port(), "POST", "/v1/audio/transcriptions",
                                {key_field, {"content-type", "multipart/form-data; boundary=x"}}, body);
    CHECK(answer.status == 200);
    CHECK((wait_for_chat(up).body == body));
  }
}

TEST_CASE("several: if all refuse connections a request is a 503 with Retry-After immediately",
          "[service][upstream][several]") {
  refused_port one, two;
  proxy service{several({one.url(), two.url()})};
  for (int i = 0; i < 14; ++i) {
    const auto begun = test_clock::now();
    const auto answer = chat(service, chat_body("m", i % 2 == 1));
    CHECK(answer.status == 503);
    CHECK(contains(answer.body, R"("code":"upstreams_down")"));
    CHECK(answer.has("retry-after"));
    CHECK(answer.header("x-should-retry") == "true");
    CHECK(test_clock::now() - begun < 500ms);
  }
}

TEST_CASE("several: after five faults of its own an upstream is left out, until a probe succeeds",
          "[service][upstream][several]") {
  std::atomic<bool> ill{true};
  scripted_upstream sick{[&](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/health/liveliness") {
      reply.json(ill ? 503 : 200, R"("I'm alive!")");
    } else if (!is_chat(req)) {
      reply.json(200, R"({"data":[]})");
    } else if (ill) {
      reply.json(500, R"({"error":{"message":"oops","type":"None","param":"None","code":"500"}})");
    } else {
      reply.json(200, R"({"ok":true})");
    }
  }};
  scripted_upstream well{ok()};
  proxy service{several({sick.url(), well.url()})};
  int failed = 0;
  for (int i = 0; i < 60; ++i) failed += chat(service, chat_body("m")).status == 502 ? 1 : 0;
  CHECK(failed == 5);
  CHECK(chats_of(sick).size() == 5);
  // The probe fails, so the upstream stays left out.
  REQUIRE(eventually([&] { return probes_of(sick) > 0; }, 8s));
  for (int i = 0; i < 10; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  ill = false;
  sick.clear_requests();
  REQUIRE(eventually([&] { return probes_of(sick) > 0; }, 8s));
  CHECK(eventually(
      [&] {
        CHECK(chat(service, chat_body("m")).status == 200);
        return !chats_of(sick).empty();
      },
      8s));
  for (const auto& req : sick.requests()) CHECK(req.target != "/health");
  CHECK(probes_of(well) == 0);
}

TEST_CASE("several: errors that are not an upstream's own fault do not leave it out",
          "[service][upstream][several]") {
  const auto refusing = [](int status, std::string body) {
    return chats([status, body](const auto&, auto& reply) { reply.json(status, body); });
  };
  const std::string provider =
      R"({"error":{"message":"litellm.InternalServerError: OpenAIException - down","type":null,"param":null,"code":"500"}})";
  for (const auto& [status, body] :
       {std::pair{500, provider}, std::pair{429, std::string{R"({"error":{"message":"slow down"}})"}},
        std::pair{404, std::string{R"({"error":{"message":"no such model"}})"}}}) {
    INFO(status);
    scripted_upstream a{refusing(status, body)}, b{ok()};
    proxy service{several({a.url(), b.url()})};
    for (int i = 0; i < 40; ++i) chat(service, chat_body("m"));
    CHECK(chats_of(a).size() > 8);
  }
}

TEST_CASE("several: a request is not sent again once an upstream has it", "[service][upstream][several]") {
  const auto cutting = [](const upstream_request& req, upstream_reply& reply) {
    // No connection is kept, because a request on a kept connection that has died is sent once more.
    if (!is_chat(req)) reply.json(200, R"({"data":[]})", {{"connection", "close"}});
    if (req.is_true("stream")) {
      reply.sse_head();
      reply.event(delta);
    }
    reply.reset();
  };
  scripted_upstream a{cutting}, b{cutting};
  proxy service{several({a.url(), b.url()})};
  CHECK(chat(service, chat_body("m")).status == 502);
  const auto cut = chat(service, chat_body("m", true));
  CHECK(cut.status == 200);
  CHECK(contains(cut.body, R"("code":"upstream_disconnected")"));
  CHECK(chats_of(a).size() + chats_of(b).size() == 2);
}

TEST_CASE("several: if no other is usable one that was left out is tried before a request is refused",
          "[service][upstream][several]") {
  std::atomic<bool> ill{true};
  scripted_upstream sick{[&](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/health/liveliness") {
      reply.json(503, "{}");  // a probe does not bring it back
    } else if (is_chat(req) && ill) {
      reply.json(500, R"({"error":{"message":"oops","type":"None","param":"None","code":"500"}})");
    } else if (req.is_true("stream")) {
      reply.sse({delta, stop, "[DONE]"});
    } else {
      reply.json(200, R"({"data":[]})");
    }
  }};
  scripted_upstream gone{ok()};
  proxy service{several({sick.url(), gone.url()})};
  for (int i = 0; i < 60 && !is_left_out(service, 0); ++i) chat(service, chat_body("m"));
  REQUIRE(is_left_out(service, 0));
  gone.stop();
  ill = false;
  for (int i = 0; i < 12; ++i) {
    CHECK(chat(service, chat_body("m", i % 2 == 0)).status == 200);
    CHECK(get(service, "/health/ready").status == 200);
  }
  // The first upstream is in use again, and the one that is gone is left out.
  CHECK_FALSE(is_left_out(service, 0));
  CHECK(is_left_out(service, 1));
}

TEST_CASE("several: one that was left out and still fails is tried only once, and stays left out",
          "[service][upstream][several]") {
  scripted_upstream sick{chats([](const auto&, auto& reply) {
    reply.json(500, R"({"error":{"message":"oops","type":"None","param":"None","code":"500"}})");
  })};
  scripted_upstream gone{ok()};
  proxy service{several({sick.url(), gone.url()})};
  for (int i = 0; i < 60 && !is_left_out(service, 0); ++i) chat(service, chat_body("m"));
  REQUIRE(is_left_out(service, 0));
  gone.stop();
  sick.clear_requests();
  CHECK(chat(service, chat_body("m")).status == 502);
  CHECK(chats_of(sick).size() == 1);
  CHECK(is_left_out(service, 0));
}

TEST_CASE("several: one that never answers is left out, even if its clients leave before a timeout",
          "[service][upstream][several]") {
  std::atomic<bool> silent{true};
  scripted_upstream sick{[&](const upstream_request& req, upstream_reply& reply) {
    if (silent) {
      reply.hang();
    } else {
      ok()(req, reply);
    }
  }};
  scripted_upstream well{ok()};
  proxy service{several({sick.url(), well.url()})};
  SECTION("clients that leave") {
    leave_early(service, sick, 3, 100ms);
  }
  SECTION("clients that say how long they wait") {
    for (int i = 0; i < 100 && chats_of(sick).size() < 3; ++i)
      chat(service, chat_body("m"), {{"x-request-timeout-ms", "100"}});
  }
  CHECK(eventually([&] { return probes_of(sick) == 1; }));
  CHECK(eventually([&] { return is_left_out(service, 0); }, 5s));
  sick.clear_requests();
  for (int i = 0; i < 20; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(chats_of(sick).empty());
  silent = false;
  CHECK(eventually([&] { return !is_left_out(service, 0); }, 8s));
}

TEST_CASE("several: if clients leave an upstream that is alive it is probed once and not left out",
          "[service][upstream][several]") {
  const auto slow = [](const upstream_request& req, upstream_reply& reply) {
    if (is_chat(req)) {
      reply.hang();
    } else {
      reply.json(404, "{}");  // it does not know the probe's path, but any answer shows that it is alive
    }
  };
  scripted_upstream a{slow}, b{slow};
  proxy service{several({a.url(), b.url()})};
  leave_early(service, a, 9, 20ms);
  CHECK(eventually([&] { return probes_of(a) == 1; }));
  CHECK_FALSE(eventually([&] { return is_left_out(service, 0) || probes_of(a) > 1; }, 500ms));
}

TEST_CASE("several: clients that leave during an answer or during their own upload cause no probe",
          "[service][upstream][several]") {
  const auto begins = chats([](const upstream_request&, upstream_reply& reply) {
    reply.sse_head();
    reply.event(delta);
    reply.hang();
  });
  scripted_upstream a{begins}, b{begins};
  proxy service{several({a.url(), b.url()})};
  for (int i = 0; i < 12; ++i) {
    raw_connection streaming{service.port()};
    REQUIRE(send_chat(streaming, chat_body("m", true)));
    REQUIRE(streaming.read_until(delta, 5s).end == read_end::done);
    raw_connection uploading{service.port()};
    REQUIRE(uploading.send(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\nx-internal-auth: " + std::string{test_key} +
        "\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 9999\r\n"
        "\r\n--x\r\n"));
    REQUIRE(eventually([&] { return service.in_flight() == 2; }));
    streaming.close();
    uploading.close();
    REQUIRE(eventually([&] { return service.in_flight() == 0; }));
  }
  std::this_thread::sleep_for(200ms);
  CHECK(probes_of(a) + probes_of(b) == 0);
}

}  // namespace llm_proxy::test
