// GET /health/live and /health/ready, which load balancers ask.
#include "http/request/request_gate.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::string get_of(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nhost: x\r\n\r\n";
}

}  // namespace

TEST_CASE("health: live and ready are public, and answer GET and HEAD", "[service][health]") {
  auto values = mock_settings();
  values.version = "9.8.7";
  proxy service{values};
  for (const std::string state : {"live", "ready"}) {
    INFO(state);
    const auto path = "/health/" + state;
    const auto answer = request(service.port(), "GET", path);
    CHECK(answer.status == 200);
    CHECK(answer.header("content-type") == "application/json");
    CHECK(answer.body == R"({"status":")" + state + R"(","service":"llm-proxy","version":"9.8.7"})");
    CHECK(request(service.port(), "GET", path + "?x=1").status == 200);
    raw_connection client{service.port()};
    REQUIRE(client.send("HEAD " + path + " HTTP/1.1\r\nhost: x\r\n\r\n"));
    const auto head = read_response(client, patience, true);
    CHECK(head.status == 200);
    CHECK(head.header("content-length") == std::to_string(answer.body.size()));
    const auto wrong = request(service.port(), "POST", path);
    CHECK(wrong.status == 405);
    CHECK(wrong.header("allow") == "GET, HEAD");
  }
}

TEST_CASE("health: once the shutdown is announced ready is a 503, and live is not", "[service][health]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  service.announce_drain();
  REQUIRE(client.send(get_of("/health/ready")));
  const auto answer = read_response(client, patience);
  CHECK(answer.status == 503);
  CHECK(holds(answer.body, R"({"status":"draining","service":"llm-proxy","version":)"));
  // Balancers should send less from now on, but everything else is served, on new connections, too.
  CHECK(request(service.port(), "GET", "/health/live").status == 200);
  CHECK(request(service.port(), "GET", "/health").status == 200);
  CHECK(chat(service, chat_body("m")).status == 200);
}

TEST_CASE("health: ready is a 503 when upstream cannot be reached from the start", "[service][health]") {
  const refused_port nobody;
  proxy service{litellm_settings(nobody.url())};
  REQUIRE(eventually([&] { return request(service.port(), "GET", "/health/ready").status == 503; }));
  const auto answer = request(service.port(), "GET", "/health/ready");
  CHECK(holds(answer.body, R"("status":"no_usable_upstream")"));
  CHECK(request(service.port(), "GET", "/health/live").status == 200);
}

TEST_CASE("health: a request that finds upstream gone makes ready a 503", "[service][health]") {
  auto up = std::make_unique<scripted_upstream>(
      [](const upstream_request&, upstream_reply& reply) { reply.json(200, R"({"data":[]})"); });
  proxy service{litellm_settings(up->url())};
  CHECK(request(service.port(), "GET", "/v1/models", with_key).status == 200);
  CHECK(request(service.port(), "GET", "/health/ready").status == 200);
  up.reset();
  CHECK(chat(service, chat_body("m")).status == 502);
  CHECK(eventually([&] { return request(service.port(), "GET", "/health/ready").status == 503; }));
}

TEST_CASE("health: the first request that succeeds makes it ready again immediately", "[service][health]") {
  const auto script = [](const upstream_request&, upstream_reply& reply) {
    reply.json(200, R"({"data":[]})");
  };
  auto up = std::make_unique<scripted_upstream>(script);
  const auto port = up->port();
  proxy service{litellm_settings(up->url())};
  CHECK(request(service.port(), "GET", "/v1/models", with_key).status == 200);
  const auto ready = [&] { return request(service.port(), "GET", "/health/ready").status; };
  up.reset();
  CHECK(chat(service, chat_body("m")).status == 502);
  CHECK(eventually([&] { return ready() == 503; }));
  std::this_thread::sleep_for(200ms);  // the failure starts a fetch of the model list, which fails, too
  CHECK(ready() == 503);
  scripted_upstream::options same_port;
  same_port.port = port;
  const scripted_upstream again{script, same_port};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(ready() == 200);
}

TEST_CASE("health: an upstream that answers with errors counts as reachable", "[service][health]") {
  scripted_upstream up{[](const upstream_request&, upstream_reply& reply) { reply.json(500, "{}"); }};
  proxy service{litellm_settings(up.url())};
  CHECK(request(service.port(), "GET", "/v1/models", with_key).status == 502);
  CHECK(chat(service, chat_body("m")).status == 502);
  CHECK(request(service.port(), "GET", "/health/ready").status == 200);
}

TEST_CASE("health: the median answer takes under 10 ms beside 200 streams", "[service][health]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 20ms;
  proxy service{values};
  std::string words;
  for (int i = 0; i < 2'000; ++i) words += " w";
  std::vector<raw_connection> streams;
  for (int i = 0; i < 200; ++i) {
    streams.emplace_back(service.port());
    REQUIRE(streams.back().send(chat_bytes(chat_body("m", true, words))));
  }
  REQUIRE(eventually([&] { return service.in_flight() == 200; }));
  raw_connection client{service.port()};
  std::vector<test_clock::duration> took;
  for (int i = 0; i < 51; ++i) {
    const auto since = test_clock::now();
    REQUIRE(client.send(get_of(i % 2 == 0 ? "/health/live" : "/health/ready")));
    REQUIRE(read_response(client, patience).status == 200);
    took.push_back(test_clock::now() - since);
  }
  std::sort(took.begin(), took.end());
  CHECK(took[took.size() / 2] < 10ms);
}

TEST_CASE("health: it does not wait while a large body is checked", "[service][health]") {
  auto values = mock_settings();
  values.threads = 1;
  proxy service{values};
  // A body of many small tokens takes longest to check. It names no model, so it is refused and no upstream
  // is asked.
  std::string body = R"({"x":[)";
  while (body.size() < 16U * 1024 * 1024) body += "[1],";
  body += "1]}";
  const auto since_check = test_clock::now();
  CHECK(std::holds_alternative<request_fault>(check_request(chat_rules, body)));
  const auto whole_check = test_clock::now() - since_check;
  std::atomic<bool> enough{false};
  std::atomic<int> refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!enough) refused += chat(service, body).status == 422 ? 1 : 0;
    });
  }
  CHECK(eventually([&] { return refused > 0; }));
  std::vector<test_clock::duration> took;
  for (int i = 0; i < 40; ++i) {
    const auto since = test_clock::now();
    CHECK(request(service.port(), "GET", "/health").status == 200);
    took.push_back(test_clock::now() - since);
    std::this_thread::sleep_for(5ms);
  }
  enough = true;
  for (auto& client : clients) client.join();
  std::sort(took.begin(), took.end());
  CHECK(took[took.size() * 3 / 4] < whole_check / 2);
}

}  // namespace llm_proxy::test
