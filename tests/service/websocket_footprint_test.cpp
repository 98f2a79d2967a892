// What WebSockets cost: memory while they are idle, time per response, and a crowd of them.
#include "support/program_under_load.hpp"
#include "support/scripted_upstream.hpp"
#include "support/websocket_client.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Answers each response with a few events that name who asked.
void answer_response(const upstream_request& asked, upstream_reply& reply) {
  if (asked.method != "POST") return default_script(asked, reply);
  const auto who = asked.text("user");
  reply.sse({R"({"type":"response.created","response":{"id":"r-)" + who + R"("}})",
             R"({"type":"response.output_text.delta","delta":")" + who + R"("})",
             R"({"type":"response.completed","response":{"id":"r-)" + who + R"(","output":[]}})"});
}

std::string create(const std::string& who) {
  return R"({"type":"response.create","model":"m","input":"hi","user":")" + who + "\"}";
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

}  // namespace

TEST_CASE("websocket footprint: an idle socket costs at most 12 KiB", "[service][footprint][websocket]") {
  const std::size_t count = sanitized ? 100 : 2'000;
  scripted_upstream up{answer_response};
  program_under_load service{up};
  std::vector<std::unique_ptr<websocket_client>> clients;
  const auto open = [&](std::size_t more) {
    for (std::size_t i = 0; i < more; ++i) {
      clients.push_back(std::make_unique<websocket_client>(service.port()));
      REQUIRE(clients.back()->answer().status == 101);
    }
  };
  open(100);
  const auto before = service.rss();
  open(count);
  const auto each = (service.rss() - before) / count;
  WARN("an idle WebSocket costs " << each << " bytes");
  if (!sanitized) CHECK(each < 12 * 1024);
  CHECK(clients.front()->send(create("first")));
  CHECK_FALSE(clients.front()->until("response.completed").empty());
}

TEST_CASE("websocket footprint: a response takes at most a millisecond longer than by POST",
          "[service][footprint][websocket]") {
  scripted_upstream up{answer_response};
  program_under_load service{up};
  websocket_client socket{service.port()};
  raw_connection http{service.port()};
  const auto post = make_request("POST", "/v1/responses", {{"host", "x"}, key_field},
                                 R"({"model":"m","input":"hi","user":"u","stream":true})");
  std::vector<double> over_socket;
  std::vector<double> over_http;
  // They take turns, so that both meet the same noise.
  for (int i = 0; i < 300; ++i) {
    auto begun = test_clock::now();
    REQUIRE(socket.send(create("u")));
    REQUIRE(socket.until("response.completed").size() == 3);
    over_socket.push_back(std::chrono::duration<double, std::milli>(test_clock::now() - begun).count());
    begun = test_clock::now();
    REQUIRE(http.send(post));
    REQUIRE(http.read_until("response.completed", 10s).end == read_end::done);
    over_http.push_back(std::chrono::duration<double, std::milli>(test_clock::now() - begun).count());
    REQUIRE(http.read_until("0\r\n\r\n", 10s).end == read_end::done);
  }
  WARN("a response takes " << median(over_socket) << " ms over a WebSocket, " << median(over_http)
                           << " ms by POST (medians)");
  if (!sanitized) CHECK(median(over_socket) - median(over_http) < 1.0);
}

TEST_CASE("websocket footprint: 500 responses over 500 sockets, none mixed up",
          "[service][footprint][websocket]") {
  const int count = sanitized ? 50 : 500;
  scripted_upstream up{answer_response};
  program_under_load service{up};
  const auto descriptors = service.descriptors();
  {
    std::vector<std::unique_ptr<websocket_client>> clients;
    for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<websocket_client>(service.port()));
    for (int i = 0; i < count; ++i) REQUIRE(clients[i]->send(create("client" + std::to_string(i))));
    for (int i = 0; i < count; ++i) {
      const auto all = clients[i]->until("response.completed", 20s);
      REQUIRE(all.size() == 3);
      const auto who = "client" + std::to_string(i) + '"';
      for (const auto& each : all) REQUIRE(each.find(who) != std::string::npos);
    }
  }
  // Idle connections to the upstream are closed after 4 s.
  CHECK(eventually([&] { return service.descriptors() <= descriptors + 8; }, 10s));
}

}  // namespace llm_proxy::test
