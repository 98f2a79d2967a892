// Clients that have left leave nothing behind in the program: no memory, no descriptors, no upstream
// requests.
#include "support/program_under_load.hpp"
#include "support/raw_requests.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t mib = 1024 * 1024;

std::string stream_request() {
  return make_request("POST", "/v1/chat/completions", {{"host", "x"}, key_field}, chat_body("m", true));
}

/// Returns a script that streams events of 16 KB, `total` bytes in all.
upstream_script floods(std::size_t total) {
  return chats([total](const auto&, auto& reply) {
    const auto event =
        event_of(R"({"choices":[{"index":0,"delta":{"content":")" + std::string(16'000, 'x') + R"("}}]})");
    reply.sse_head();
    for (std::size_t sent = 0; sent < total; sent += event.size()) {
      if (!reply.chunk(event)) return;
    }
    reply.event(stop);
    reply.event("[DONE]");
    reply.end_chunks();
  });
}

/// Reads and discards an answer, and returns how many bytes arrived.
std::size_t swallow(raw_connection& client, milliseconds timeout) {
  std::size_t total = 0;
  const auto until = test_clock::now() + timeout;
  while (test_clock::now() < until) {
    const auto got = client.read_some(1s);
    total += got.bytes.size();
    if (got.end != read_end::done || (got.bytes.size() >= 5 && got.bytes.ends_with("0\r\n\r\n"))) break;
  }
  return total;
}

}  // namespace

TEST_CASE(
    "footprint: a client that does not read its gigabyte costs no memory, and another one gets all of it",
    "[service][footprint]") {
  constexpr std::size_t flood = 1024 * mib;
  scripted_upstream up{floods(flood)};
  program_under_load service{up};
  {
    raw_connection first{service.port()};
    REQUIRE(first.send(stream_request()));
    REQUIRE(first.read_exactly(4 * mib, 20s).end == read_end::done);
  }
  const auto before = service.rss();
  std::size_t most = before;
  const auto watch = [&](const auto& going_on) {
    while (going_on()) {
      most = std::max(most, service.rss());
      std::this_thread::sleep_for(10ms);
    }
  };
  {
    raw_connection deaf{service.port()};
    REQUIRE(deaf.send(stream_request()));
    const auto until = test_clock::now() + 2s;
    watch([&] { return test_clock::now() < until; });
  }
  std::atomic<bool> reading{true};
  std::size_t got = 0;
  raw_connection listening{service.port()};
  REQUIRE(listening.send(stream_request()));
  std::thread reader{[&] {
    got = swallow(listening, sanitized ? 200s : 60s);
    reading = false;
  }};
  watch([&] { return reading.load(); });
  reader.join();
  UNSCOPED_INFO("RSS before " << before / 1024 << " KiB, at most " << most / 1024 << " KiB");
  CHECK(got > flood);
  if (!sanitized) CHECK(most - before < 5 * mib);
}

TEST_CASE("footprint: 50 clients that ask for 100 pages each and read none cost at most 16 MiB",
          "[service][footprint]") {
  for (const std::string more : {"", "accept-encoding: gzip\r\n"}) {
    for (const std::string path : {"/docs/swagger-ui.js", "/openapi.json", "/ui/app.js"}) {
      CAPTURE(path, more);
      program_under_load service{{{"LLM_PROXY__LLM_MODE", "mock"}}};
      const auto before = service.rss();
      std::string asked;
      for (int i = 0; i < 100; ++i) asked += "GET " + path + " HTTP/1.1\r\nhost: x\r\n" + more + "\r\n";
      std::vector<raw_connection> deaf;
      for (int i = 0; i < 50; ++i) {
        deaf.emplace_back(service.port());
        REQUIRE(deaf.back().send(asked));
      }
      std::size_t most = before;
      for (const auto until = test_clock::now() + 1s; test_clock::now() < until;) {
        most = std::max(most, service.rss());
        std::this_thread::sleep_for(10ms);
      }
      UNSCOPED_INFO("RSS before " << before / 1024 << " KiB, at most " << most / 1024 << " KiB");
      if (!sanitized) CHECK(most - before < 16 * mib);
      // Other clients are still served.
      CHECK(request(service.port(), "GET", "/health").status == 200);
    }
  }
}

TEST_CASE("footprint: 5,000 connections and 500 clients that leave early leave nothing behind",
          "[service][footprint]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (!req.is_true("stream")) {
      reply.json(200, R"({"ok":true})");
      return;
    }
    reply.sse_head();
    reply.event(delta);
    reply.hang();
  })};
  program_under_load service{up};
  const int rounds = sanitized ? 2 : 10;
  const auto churn = [&] {
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        for (int n = 0; n < rounds * 125; ++n) {
          raw_connection client{service.port()};
          client.send(
              make_request("POST", "/v1/chat/completions", {{"host", "x"}, key_field}, chat_body("m")));
          if (n % 5 != 0) read_response(client, 10s);  // every fifth client leaves before its answer
        }
      });
    }
    for (auto& each : clients) each.join();
  };
  const auto leave_midstream = [&](std::size_t count, std::vector<double>* took) {
    std::vector<std::unique_ptr<raw_connection>> clients;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<raw_connection>(service.port()));
      REQUIRE(clients.back()->send(stream_request()));
      REQUIRE(clients.back()->read_until(delta, 20s).end == read_end::done);
    }
    const auto known = up.closings().size();
    // The clients leave one after the other, so that the time of each is measured, not that of the crowd.
    for (auto& each : clients) {
      const auto closings = up.closings().size();
      const auto left = test_clock::now();
      each.reset();
      REQUIRE(eventually([&] { return up.closings().size() > closings; }));
      if (took != nullptr) {
        took->push_back(std::chrono::duration<double, std::milli>(up.closings().back().at - left).count());
      }
    }
    CHECK(up.closings().size() >= known + count);
  };
  churn();
  leave_midstream(500, nullptr);
  const auto settled = [&](std::size_t descriptors) {
    return eventually([&] { return service.descriptors() <= descriptors; }, 10s);
  };
  // Idle upstream connections are closed after 4 s, and memory is given back 2 s after a crowd has left.
  std::this_thread::sleep_for(6500ms);
  const auto base_descriptors = service.descriptors();
  const auto base_rss = service.rss();
  up.clear_requests();
  churn();
  std::vector<double> took;
  leave_midstream(500, &took);
  std::this_thread::sleep_for(6500ms);
  CHECK(settled(base_descriptors));
  const auto rss = service.rss();
  std::sort(took.begin(), took.end());
  const auto p99 = took[took.size() * 99 / 100];
  UNSCOPED_INFO("fds " << base_descriptors << ", then " << service.descriptors() << "; RSS "
                       << base_rss / 1024 << " KiB, then " << rss / 1024 << " KiB; upstream told after "
                       << took[took.size() / 2] << " ms (median), " << p99 << " ms (p99)");
  if (!sanitized) {
    CHECK(rss < base_rss + 3 * mib);
    CHECK(p99 < 5);  // 0.15 ms on a quiet machine
  }
  WARN("upstream told of a client that left after " << took[took.size() / 2] << " ms (median), " << p99
                                                    << " ms (p99); RSS " << base_rss / 1024 << " KiB, then "
                                                    << rss / 1024);
}

}  // namespace llm_proxy::test
