// Deadlines on the upstream side, clients that leave, and clients that do not read.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <fstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
constexpr auto at_once = sanitized ? 500ms : 100ms;

std::size_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void check_late(const response& answer, milliseconds took, milliseconds limit) {
  CHECK(answer.status == 504);
  CHECK(contains(answer.body, R"("code":"upstream_timeout")"));
  CHECK(took >= limit);
  CHECK(took < limit + 2s);
}

template <class Call>
void check_late(milliseconds limit, Call call) {
  const auto begun = test_clock::now();
  const auto answer = call();
  check_late(answer, std::chrono::duration_cast<milliseconds>(test_clock::now() - begun), limit);
}

}  // namespace

TEST_CASE("deadlines: CONNECT_TIMEOUT limits the time to connect", "[service][upstream][deadline]") {
  blackhole nobody;
  auto values = litellm_settings(nobody.url());
  values.connect_timeout = 200ms;
  proxy service{values};
  check_late(200ms, [&] { return chat(service, chat_body("m")); });
  check_late(200ms, [&] { return chat(service, chat_body("m", true)); });
}

TEST_CASE(
    "deadlines: FIRST_BYTE_TIMEOUT limits the wait for an answer, for which a stream's head is not enough",
    "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.text("model") == "comments") {
      reply.sse_head();
      while (reply.chunk(": ping\n\n") && reply.sleep(20ms)) {
      }
      return;
    }
    if (req.text("model") == "interim") reply.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    if (req.text("model") == "head") reply.sse_head();
    reply.hang();
  })};
  auto values = litellm_settings(up.url());
  values.first_byte_timeout = 250ms;
  values.idle_timeout = 50ms;
  proxy service{values};
  for (const std::string what : {"nothing", "interim", "head", "comments"}) {
    INFO(what);
    check_late(250ms, [&] { return chat(service, chat_body(what, true)); });
  }
  check_late(250ms, [&] { return chat(service, chat_body("nothing")); });
}

TEST_CASE("deadlines: IDLE_TIMEOUT starts again with every event", "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.sse({delta, delta, delta, delta, delta, stop, "[DONE]"}, {}, 100ms);
  })};
  auto values = litellm_settings(up.url());
  values.idle_timeout = 300ms;
  proxy service{values};
  CHECK(chat(service, chat_body("m", true)).complete);
}

TEST_CASE("deadlines: REQUEST_TIMEOUT ends a stream that goes on", "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.sse_head();
    while (reply.event(delta) && reply.sleep(20ms)) {
    }
  })};
  auto values = litellm_settings(up.url());
  values.request_timeout = 300ms;
  proxy service{values};
  const auto answer = chat(service, chat_body("m", true));
  CHECK(answer.status == 200);
  CHECK_FALSE(answer.complete);
  CHECK(answer.body.ends_with("\n\n"));
  CHECK(contains(answer.body, R"("code":"upstream_timeout")"));
  REQUIRE(up.closing_of(wait_for_chat(up).connection, 2s));
  up.set_script(chats([](const auto&, auto& reply) { reply.hang(); }));
  check_late(300ms, [&] { return chat(service, chat_body("m")); });
}

TEST_CASE("deadlines: x-request-timeout-ms shortens the whole time of a request, and never extends it",
          "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (!req.is_true("stream")) return reply.hang();
    reply.sse_head();
    while (reply.event(delta) && reply.sleep(20ms)) {
    }
  })};
  proxy service{litellm_settings(up.url())};
  const header_list brief{{"x-request-timeout-ms", "250"}};
  check_late(250ms, [&] { return chat(service, chat_body("m"), brief); });
  auto begun = test_clock::now();
  const auto cut = chat(service, chat_body("m", true), brief);
  CHECK(cut.status == 200);
  CHECK_FALSE(cut.complete);
  CHECK(contains(cut.body, R"("code":"upstream_timeout")"));
  CHECK(test_clock::now() - begun < 2s);
  auto values = litellm_settings(up.url());
  values.request_timeout = 250ms;
  values.first_byte_timeout = 5s;
  proxy strict{values};
  const header_list long_time{{"x-request-timeout-ms", "60000"}};
  check_late(250ms, [&] { return chat(strict, chat_body("m"), long_time); });
  values.request_timeout = 0ms;
  values.first_byte_timeout = 250ms;
  proxy first_byte{values};
  check_late(250ms, [&] { return chat(first_byte, chat_body("m"), long_time); });
}

TEST_CASE("deadlines: LiteLLM is told how much time of x-request-timeout-ms is left, in seconds",
          "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const auto&, auto& reply) { reply.json(200, "{}"); })};
  auto values = litellm_settings(up.url());
  values.request_timeout = 60s;
  proxy service{values};
  const auto told = [&](header_list headers) {
    up.clear_requests();
    CHECK(chat(service, chat_body("m"), std::move(headers)).status == 200);
    const auto all = wait_for_chat(up).all("x-litellm-timeout");
    return all.size() == 1 ? all.front() : "(" + std::to_string(all.size()) + ")";
  };
  CHECK(told({}) == "(0)");
  CHECK(told({{"x-litellm-timeout", "7"}}) == "7");
  const auto left = told({{"x-request-timeout-ms", "20000"}});
  CHECK(std::stod(left) <= 20);
  CHECK(std::stod(left) > 18);
  CHECK(left.find('.') == left.size() - 4);
  CHECK(std::stod(told({{"x-request-timeout-ms", "600000"}})) <= 60);
  CHECK(told({{"x-request-timeout-ms", "20000"}, {"x-litellm-timeout", "7.5"}}) == "7.5");
  for (const char* longer : {"600", "0", "-1", "soon"})
    CHECK(told({{"x-request-timeout-ms", "20000"}, {"x-litellm-timeout", longer}}).starts_with("19."));
}

TEST_CASE("deadlines: an invalid x-request-timeout-ms is a 400 that names it",
          "[service][upstream][deadline]") {
  scripted_upstream up{chats([](const auto&, auto& reply) { reply.json(200, "{}"); })};
  proxy service{litellm_settings(up.url())};
  for (const char* bad : {"", "0", "-5", "+5", "1.5", "10s", "soon", "99999999999999999999"}) {
    INFO(bad);
    const auto answer = chat(service, chat_body("m"), {{"x-request-timeout-ms", bad}});
    CHECK(answer.status == 400);
    CHECK(contains(answer.body, R"("param":"x-request-timeout-ms")"));
  }
  const header_list twice{{"x-request-timeout-ms", "5"}, {"x-request-timeout-ms", "6"}};
  CHECK(chat(service, chat_body("m"), twice).status == 400);
  CHECK(chats_of(up).empty());
}

TEST_CASE("deadlines: if the client reads slowly, that does not count as silence of upstream",
          "[service][upstream][deadline]") {
  std::string text;
  for (int i = 0; i < 1500; ++i)
    text += "data: {\"choices\":[],\"x\":\"" + std::string(8000, 'a') + "\"}\n\n";
  text += "data: " + stop + "\n\n";
  scripted_upstream up{chats([&](const auto&, auto& reply) {
    reply.sse_head();
    reply.chunk(text);
    reply.end_chunks();
  })};
  auto values = litellm_settings(up.url());
  values.idle_timeout = 150ms;
  proxy service{values};
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{service.port(), small};
  REQUIRE(send_chat(client, chat_body("m", true)));
  // The client does not read for several times IDLE_TIMEOUT. A condition cannot replace this sleep.
  CHECK(client.read_until("data", 5s).end == read_end::done);
  std::this_thread::sleep_for(600ms);
  const auto rest = client.read_until("0\r\n\r\n", 20s);
  CHECK(rest.end == read_end::done);
  CHECK_FALSE(contains(rest.bytes, "upstream_timeout"));
}

TEST_CASE("cancel: when a client leaves its upstream request is closed immediately",
          "[service][upstream][cancel]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    const auto what = req.text("model");
    if (what == "first-event") reply.sse_head();
    if (what == "held") {
      reply.head(200, {{"content-type", "application/json"}, {"content-length", "100"}});
      reply.send("{\"a\":");
    }
    if (what == "mid-stream") {
      reply.sse_head();
      reply.event(delta);
    }
    reply.hang();
  })};
  proxy service{litellm_settings(up.url())};
  for (const std::string what : {"head", "first-event", "held", "mid-stream"}) {
    for (const bool by_reset : {false, true}) {
      INFO(what << (by_reset ? " by reset" : ""));
      up.clear_requests();
      raw_connection client{service.port()};
      REQUIRE(send_chat(client, chat_body(what, what != "held")));
      const auto got = wait_for_chat(up);
      if (what == "mid-stream") CHECK(client.read_until(delta, 2s).end == read_end::done);
      const auto left = test_clock::now();
      if (by_reset) {
        client.reset();
      } else {
        client.close();
      }
      const auto closing = up.closing_of(got.connection, 2s);
      REQUIRE(closing);
      CHECK(closing->how != read_end::done);
      CHECK(closing->at - left < at_once);
    }
  }
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("cancel: when a client leaves while its body is sent upstream, that request is closed immediately",
          "[service][upstream][cancel]") {
  scripted_upstream::options how;
  how.read_bodies = false;
  how.receive_buffer = 4096;
  gate left;
  scripted_upstream up{chats([&](const auto&, auto& reply) {
                         left.wait();
                         reply.read_body(5s);
                       }),
                       how};
  proxy service{litellm_settings(up.url())};
  raw_connection client{service.port()};
  REQUIRE(send_chat(client, chat_body("m", true, std::string(8'000'000, 'a'))));
  const auto got = wait_for_chat(up);
  client.close();
  REQUIRE(eventually([&] { return service.in_flight() == 0; }));
  left.open();
  const auto closing = up.closing_of(got.connection, 2s);
  REQUIRE(closing);
  CHECK(closing->how == read_end::reset);
}

TEST_CASE("cancel: 50 clients may leave at once", "[service][upstream][cancel]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.sse_head();
    while (reply.event(delta) && reply.sleep(5ms)) {
    }
  })};
  proxy service{litellm_settings(up.url())};
  std::vector<raw_connection> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(service.port());
    REQUIRE(send_chat(clients.back(), chat_body("m", true)));
  }
  for (auto& client : clients) REQUIRE(client.read_until(delta, 5s).end == read_end::done);
  CHECK(service.in_flight() == 50);
  for (auto& client : clients) client.close();
  for (const auto& got : chats_of(up)) CHECK(up.closing_of(got.connection, 2s));
  CHECK(eventually([&] { return service.in_flight() == 0; }));
  up.set_script(chats([](const auto&, auto& reply) { reply.json(200, "{}"); }));
  CHECK(chat(service, chat_body("m")).status == 200);
}

TEST_CASE("credit: a client that does not read stops upstream, costs no memory and delays nobody",
          "[service][upstream][credit]") {
  constexpr std::size_t wanted = 150'000'000;
  std::atomic<std::size_t> taken{0};
  const std::string event = "data: {\"x\":\"" + std::string(8000, 'a') + "\"}\n\n";
  scripted_upstream up{chats([&](const upstream_request& req, upstream_reply& reply) {
    if (req.text("model") == "other") {
      reply.sse({delta, stop, "[DONE]"});
      return;
    }
    reply.sse_head();
    while (taken < wanted && reply.chunk(event)) taken += event.size();
    reply.event(stop);
    reply.end_chunks();
  })};
  auto values = litellm_settings(up.url());
  values.threads = 1;
  proxy service{values};
  REQUIRE(chat(service, chat_body("other", true)).complete);
  const auto before = resident_bytes();
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{service.port(), small};
  REQUIRE(send_chat(client, chat_body("m", true)));
  // Wait until upstream cannot send more: then the kernel's socket buffers and one window are full.
  std::size_t last = 0;
  REQUIRE(eventually(
      [&] {
        const auto now = taken.load();
        if (now > 0 && now == last) return true;
        last = now;
        std::this_thread::sleep_for(200ms);
        return false;
      },
      20s));
  CHECK(taken < 30'000'000);
  if (!sanitized) CHECK(resident_bytes() < before + (4 << 20));
  CHECK(chat(service, chat_body("other", true)).complete);
  // The client reads everything now. Nothing was lost, and still nothing is stored.
  std::size_t size = 0;
  std::string tail;
  while (!tail.ends_with("0\r\n\r\n")) {
    const auto some = client.read_some(5s);
    if (some.end != read_end::done) break;
    size += some.bytes.size();
    tail = (tail + some.bytes.substr(some.bytes.size() - std::min<std::size_t>(some.bytes.size(), 8)));
    tail = tail.substr(tail.size() - std::min<std::size_t>(tail.size(), 8));
  }
  CHECK(tail.ends_with("0\r\n\r\n"));
  CHECK(size > wanted);
  if (!sanitized) CHECK(resident_bytes() < before + (6 << 20));
}

}  // namespace llm_proxy::test
