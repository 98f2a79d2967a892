// Connections without a request hold a place for a limited time, and give it up when other clients wait.
#include "support/certificate.hpp"
#include "support/program.hpp"
#include "support/tls_client.hpp"

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

std::vector<raw_connection> crowd(std::uint16_t port, int size) {
  std::vector<raw_connection> all;
  for (int i = 0; i < size; ++i) all.emplace_back(port);
  return all;
}

/// Returns a connection that has had one answer and is kept open.
raw_connection kept(std::uint16_t port) {
  raw_connection client{port};
  REQUIRE(client.send(get_health));
  REQUIRE(read_response(client, patience).status == 200);
  return client;
}

/// Returns a connection on which a stream is under way that does not end.
raw_connection streaming(std::uint16_t port) {
  raw_connection client{port};
  REQUIRE(client.send(chat_bytes(chat_body("m", true))));
  REQUIRE(client.read_until("\n\n\r\n", patience).end == read_end::done);  // an event and its chunk's end
  return client;
}

/// Whether the service keeps the connection open and sends nothing.
bool is_open(raw_connection& client) {
  return client.stays_quiet(50ms);
}

double evicted(std::uint16_t port) {
  const auto text = request(port, "GET", "/metrics", with_key).body;
  const std::string name = "\nllm_proxy_connections_evicted_total ";
  const auto at = text.find(name);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + name.size()));
}

settings endless_streams() {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 1h;
  values.threads = 1;
  return values;
}

}  // namespace

TEST_CASE("idle connections: the first request must come within CLIENT_HEAD_TIMEOUT of the connect",
          "[service][idle]") {
  const certificate cert;
  auto values = mock_settings();
  values.client_head_timeout = 400ms;
  values.admin_port = free_port();
  const bool tls = GENERATE(false, true);
  if (tls) {
    values.tls_cert_file = cert.file();
    values.tls_key_file = cert.key();
  }
  CAPTURE(tls);
  const proxy service{values};
  const auto since = test_clock::now();
  raw_connection silent{service.port()};
  raw_connection probing{values.admin_port};
  for (auto* each : {&silent, &probing}) {
    CHECK(each->wait_closed(3s) == read_end::eof);
    CHECK(test_clock::now() - since > 300ms);
  }
  if (tls) {
    // The time starts again after the handshake.
    tls_client shaken{service.port()};
    REQUIRE(shaken.ok());
    CHECK(shaken.read_to_end(3s).end == read_end::done);
    return;
  }
  // Half a head does not extend the time.
  raw_connection slow{service.port()};
  const auto begun = test_clock::now();
  CHECK(slow.stays_quiet(250ms));
  REQUIRE(slow.send("GET /hea"));
  CHECK(read_response(slow, patience).status == 408);
  CHECK(test_clock::now() - begun < 600ms);
  // A connection that has had a request has KEEP_ALIVE_TIMEOUT.
  auto used = kept(service.port());
  CHECK(used.stays_quiet(700ms));
}

TEST_CASE(
    "idle connections: without CLIENT_HEAD_TIMEOUT the first request must come within KEEP_ALIVE_TIMEOUT",
    "[service][idle]") {
  const certificate cert;
  auto values = mock_settings();
  values.client_head_timeout = 0ms;
  values.keep_alive_timeout = 300ms;
  for (const bool tls : {false, true}) {
    INFO("TLS " << tls);
    if (tls) {
      values.tls_cert_file = cert.file();
      values.tls_key_file = cert.key();
    }
    const proxy service{values};
    raw_connection silent{service.port()};
    CHECK(silent.wait_closed(3s) == read_end::eof);
  }
}

TEST_CASE("idle connections: when MAX_CONNECTIONS are open they make room, and probes are answered",
          "[service][idle][program]") {
  const auto admin_port = free_port();
  child_process service{program,
                        with(mock_environment({{"LLM_PROXY__MAX_CONNECTIONS", "50"},
                                               {"LLM_PROXY__ADMIN_PORT", std::to_string(admin_port)}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  auto idle = crowd(port, 60);
  auto idle_there = crowd(admin_port, 100);
  for (int i = 0; i < 20; ++i) {
    CHECK(request(port, "GET", "/health/live", {}, {}, 2s).status == 200);
    CHECK(request(admin_port, "GET", "/health/live", {}, {}, 2s).status == 200);
    idle.emplace_back(port);
    idle_there.emplace_back(admin_port);
  }
  CHECK(evicted(port) >= 10);
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  CHECK_FALSE(holds(service.out(), "accepting no connections for now"));
  // The log has one line about it, not one for each connection.
  const std::string line = "idle connections closed to make room";
  const auto first = service.out().find(line);
  CHECK(first != std::string::npos);
  CHECK(holds(service.out(), "MAX_CONNECTIONS (50) are open"));
  CHECK(service.out().find(line, service.out().find(line, first + 1) + 1) ==
        std::string::npos);  // at most one line per port
}

TEST_CASE("idle connections: none is closed while no client waits", "[service][idle]") {
  auto values = mock_settings();
  values.max_connections = 4;
  const proxy service{values};
  std::vector<raw_connection> all;
  for (int i = 0; i < 2; ++i) all.push_back(kept(service.port()));
  for (int i = 0; i < 2; ++i) all.emplace_back(service.port());
  for (auto& each : all) CHECK(is_open(each));
}

TEST_CASE("idle connections: on one thread unused ones are closed first, then those that are idle longest",
          "[service][idle]") {
  auto values = endless_streams();
  values.max_connections = 5;
  const proxy service{values};
  auto first = kept(service.port());
  auto second = kept(service.port());
  auto busy = streaming(service.port());
  auto silent = crowd(service.port(), 2);
  std::this_thread::sleep_for(50ms);
  // After its next request this connection is no longer the one that is idle longest.
  REQUIRE(first.send(get_health));
  REQUIRE(read_response(first, patience).status == 200);
  const auto comes = [&] { return streaming(service.port()); };
  std::vector<raw_connection> newcomers;
  newcomers.push_back(comes());
  CHECK(silent[0].wait_closed(patience) == read_end::eof);
  CHECK(is_open(silent[1]));
  newcomers.push_back(comes());
  CHECK(silent[1].wait_closed(patience) == read_end::eof);
  CHECK((is_open(first) && is_open(second)));
  newcomers.push_back(comes());
  CHECK(second.wait_closed(patience) == read_end::eof);
  CHECK(is_open(first));
  newcomers.push_back(comes());
  CHECK(first.wait_closed(patience) == read_end::eof);
  // All connections that are left have a request.
  raw_connection waiting{service.port()};
  REQUIRE(waiting.send(get_health));
  CHECK(waiting.stays_quiet(200ms));
  CHECK(is_open(busy));
  for (auto& each : newcomers) CHECK(is_open(each));
  busy.close();
  CHECK(read_response(waiting, patience).status == 200);
}

TEST_CASE("idle connections: one with a request, an unread answer or half a head is not closed",
          "[service][idle]") {
  auto values = endless_streams();
  values.max_connections = 4;
  const proxy service{values};
  auto stream = streaming(service.port());
  raw_connection events{service.port()};
  REQUIRE(events.send("GET /ui/events HTTP/1.1\r\nhost: x\r\n" + key_line + "\r\n"));
  REQUIRE(events.read_until("\n\n", patience).end == read_end::done);
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection slow_reader{service.port(), small};
  for (int i = 0; i < 8; ++i) {
    REQUIRE(slow_reader.send("GET /docs/swagger-ui.js HTTP/1.1\r\nhost: x\r\n\r\n"));
  }
  REQUIRE(slow_reader.read_until("\r\n\r\n", patience).end == read_end::done);
  raw_connection half{service.port()};
  REQUIRE(half.send("GET /health"));
  std::this_thread::sleep_for(50ms);
  raw_connection waiting{service.port()};
  REQUIRE(waiting.send(get_health));
  CHECK(waiting.stays_quiet(300ms));
  REQUIRE(half.send(" HTTP/1.1\r\nhost: x\r\n\r\n"));
  CHECK(read_response(half, patience).status == 200);
  // Now this connection is idle.
  CHECK(half.wait_closed(patience) == read_end::eof);
  CHECK(read_response(waiting, patience).status == 200);
  CHECK(is_open(stream));
  CHECK(events.fill(test_clock::now() + 2s) == read_end::done);
}

TEST_CASE("idle connections: without CLIENT_HEAD_TIMEOUT half a head does not keep a place",
          "[service][idle]") {
  auto values = mock_settings();
  values.client_head_timeout = 0ms;
  values.max_connections = 4;
  const proxy service{values};
  auto slow = crowd(service.port(), 4);
  for (auto& each : slow) REQUIRE(each.send("GET /heal"));
  std::this_thread::sleep_for(50ms);
  for (int i = 0; i < 4; ++i) CHECK(request(service.port(), "GET", "/health", {}, {}, 2s).status == 200);
}

TEST_CASE("idle connections: those of another thread make room, too", "[service][idle]") {
  auto values = mock_settings();
  values.threads = 4;
  values.max_connections = 8;
  values.mock_chunk_delay_ms = 1h;
  proxy service{values};
  // Each thread has two connections. The thread that listens closes its own first, and then the others
  // theirs.
  auto all = crowd(service.port(), 8);
  std::vector<raw_connection> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(streaming(service.port()));
  for (auto& each : all) CHECK(each.wait_closed(patience) == read_end::eof);
  for (auto& each : streams) CHECK(is_open(each));
}

TEST_CASE("idle connections: none is closed when the last descriptor is used but no client waits",
          "[service][idle][program]") {
  auto how = with(mock_environment({{"LLM_PROXY__MAX_CONNECTIONS", "1000"}}));
  how.max_files = 60;
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  // Connections are opened until the service closes the first one to make room. The service then had
  // descriptors for all of them but one.
  std::vector<raw_connection> all;
  const auto first_is_open = [&] { return all.empty() || all.front().stays_quiet(20ms); };
  while (all.size() < 60 && first_is_open()) all.emplace_back(port);
  REQUIRE(all.size() < 60);
  const auto fit = all.size() - 1;
  all.clear();
  std::this_thread::sleep_for(200ms);
  for (std::size_t i = 0; i < fit; ++i) all.emplace_back(port);
  std::this_thread::sleep_for(200ms);
  for (auto& each : all) CHECK(is_open(each));
  for (std::size_t i = 0; i < how.max_files; ++i) {
    const auto link = "/proc/" + std::to_string(service.pid()) + "/fd/" + std::to_string(i);
    CHECK(std::filesystem::is_symlink(link));
  }
  REQUIRE(all.front().send(get_health));
  CHECK(read_response(all.front(), patience).status == 200);
}

TEST_CASE("idle connections: when descriptors run out they make room, on both ports",
          "[service][idle][program]") {
  const auto admin_port = free_port();
  auto how = with(mock_environment(
      {{"LLM_PROXY__MAX_CONNECTIONS", "1000"}, {"LLM_PROXY__ADMIN_PORT", std::to_string(admin_port)}}));
  how.max_files = 60;
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  auto idle = crowd(port, 80);
  for (int i = 0; i < 3; ++i) {
    CHECK(request(admin_port, "GET", "/health/live", {}, {}, 2s).status == 200);
    CHECK(request(port, "GET", "/health/live", {}, {}, 2s).status == 200);
    for (int more = 0; more < 10; ++more) idle.emplace_back(port);
  }
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  CHECK_FALSE(holds(service.out(), "accepting no connections for now"));
}

}  // namespace llm_proxy::test
