// What GET /metrics costs other requests if there are very many samples, or if clients do not read their
// scrapes.
#include "http/system/resident_memory.hpp"
#include "support/keys_file.hpp"
#include "support/metric_samples.hpp"
#include "support/odd_files.hpp"
#include "support/program.hpp"
#include "support/raw_requests.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string get_metrics_bytes = "GET /metrics HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n";

std::vector<test_key_entry> hundred_keys() {
  std::vector<test_key_entry> all;
  for (int i = 0; i < 100; ++i) all.push_back({"team-" + std::to_string(i), "key-" + std::to_string(i)});
  return all;
}

/// Sends one request for each pair of 100 keys and 40 models, and discards the answers.
void ask_for_all(std::uint16_t port) {
  const auto each = [port](int first) {
    raw_connection client{port};
    for (int k = first; k < 100; k += 4) {
      std::string burst;
      for (int m = 0; m < 40; ++m) {
        const auto body = chat_body("model-" + std::to_string(m), true, "a");
        burst += "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-internal-auth: key-" +
                 std::to_string(k) + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      }
      client.send(burst);
      for (int m = 0; m < 40; ++m) {
        if (read_response(client, patience).status != 200) return;
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(each, i);
  for (auto& client : clients) client.join();
}

settings many_keys(const keys_file& file) {
  auto values = mock_settings();
  values.internal_api_keys_file = file.path();
  values.mock_chunk_delay_ms = 0ms;
  values.threads = 1;  // so that requests for /health share the thread with the scrape
  return values;
}

}  // namespace

TEST_CASE("scrape: with 100 keys x 40 models it has at most 4 MiB and does not delay other requests",
          "[service][scrape]") {
  const keys_file file{hundred_keys()};
  proxy service{many_keys(file)};
  ask_for_all(service.port());
  const auto text = get(service, "/metrics").body;
  CHECK(text.size() <= std::size_t{4} << 20);
  CHECK(text.size() > std::size_t{1} << 20);
  for (const auto* name :
       {"gen_ai_server_request_duration_seconds_count", "gen_ai_server_time_to_first_token_seconds_count"}) {
    INFO(name);
    const auto samples = samples_of(text, name);
    CHECK(sum_of(samples) == 4000);
    CHECK(samples.size() <= 2000);
    CHECK(samples.size() > 100);
  }
  if (std::system("promtool --version >/dev/null 2>&1") == 0) {
    const file_folder folder;
    CHECK(std::system(("promtool check metrics <" + folder.write("scrape", text)).c_str()) == 0);
  }
  // Ask for /health repeatedly while scrapes go on.
  std::atomic<bool> enough = false;
  std::thread scraper{[&] {
    raw_connection client{service.port()};
    while (!enough && client.send(get_metrics_bytes)) read_response(client, patience);
  }};
  raw_connection probe{service.port()};
  std::vector<milliseconds> times;
  for (int i = 0; i < 200; ++i) {
    const auto begin = test_clock::now();
    REQUIRE(probe.send(get_health));
    REQUIRE(read_response(probe, patience).status == 200);
    times.push_back(std::chrono::duration_cast<milliseconds>(test_clock::now() - begin));
    std::this_thread::sleep_for(1ms);
  }
  enough = true;
  scraper.join();
  // These limits are generous, because other programs run on the machine. When a scrape was written in a
  // single turn the requests took 500 ms and more.
  std::sort(times.begin(), times.end());
  CHECK(times[times.size() / 2] < 20ms);
  CHECK(times[times.size() * 9 / 10] < 50ms);
}

TEST_CASE("scrape: while two clients do not read theirs a third one gets a 503 with retry-after",
          "[service][scrape]") {
  const keys_file file{hundred_keys()};
  proxy service{many_keys(file)};
  ask_for_all(service.port());
  raw_connection::options small;
  small.receive_buffer = 4096;
  std::vector<raw_connection> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back(service.port(), small);
    REQUIRE(readers.back().send(get_metrics_bytes));
    REQUIRE(readers.back().read_exactly(15, patience).bytes == "HTTP/1.1 200 OK");
  }
  for (int i = 0; i < 30; ++i) {
    const auto refused = get(service, "/metrics");
    CHECK(refused.status == 503);
    CHECK(holds(refused.body, R"("code":"overloaded")"));
    CHECK(refused.has("retry-after"));
  }
  CHECK(request(service.port(), "GET", "/health").status == 200);
  // A client that reads its scrape to the end gives its place back, and so does one that leaves.
  readers[0].buffer().insert(0, "HTTP/1.1 200 OK");
  CHECK(read_response(readers[0], patience).complete);
  CHECK(eventually([&] { return get(service, "/metrics").status == 200; }));
  readers[1].reset();
  for (int i = 0; i < 20; ++i) CHECK(get(service, "/metrics").status == 200);
}

TEST_CASE("scrape: 30 clients that do not read theirs cost no more memory than two", "[service][scrape]") {
  const keys_file file{hundred_keys()};
  proxy service{many_keys(file)};
  ask_for_all(service.port());
  CHECK(get(service, "/metrics").status == 200);
  [[maybe_unused]] const auto before = resident_bytes().value();
  raw_connection::options small;
  small.receive_buffer = 4096;
  std::vector<raw_connection> readers;
  for (int i = 0; i < 30; ++i) {
    readers.emplace_back(service.port(), small);
    REQUIRE(readers.back().send(get_metrics_bytes));
  }
  for (auto& each : readers) REQUIRE(each.fill(test_clock::now() + patience) == read_end::done);
#ifndef LLM_PROXY_PLAIN_NEW  // a sanitizer uses memory of its own
  CHECK(resident_bytes().value() < before + (std::size_t{32} << 20));
#endif
  const auto refused = std::count_if(readers.begin(), readers.end(),
                                     [](auto& each) { return each.buffer().starts_with("HTTP/1.1 503"); });
  CHECK(refused == 28);
}

}  // namespace llm_proxy::test
