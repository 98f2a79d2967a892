// Clients that send requests and do not read the answers. The memory for their answers is limited, whatever
// they ask for, and a client that reads in the end gets all answers.
#include "support/certificate.hpp"
#include "support/program.hpp"
#include "support/tls_client.hpp"

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// The next request of a connection waits while more bytes than this are unsent.
constexpr double unsent_limit = 64 * 1024;

/// How many clients may leave their scrapes unread. The service allows two scrapes at once, and the tests
/// need the other one to read the gauge. The next scrape of a connection waits until its client has taken the
/// last one whole, so hardly any bytes of scrapes are ever unsent.
constexpr int unread_scrapes = 1;

const std::string get_script = "GET /docs/swagger-ui.js HTTP/1.1\r\nhost: x\r\n\r\n";

std::string get(std::string_view path, std::string_view more = {}, std::string_view method = "GET") {
  return std::string{method} + " " + std::string{path} + " HTTP/1.1\r\nhost: x\r\n" + std::string{more} +
         "\r\n";
}

double unsent(std::uint16_t admin_port) {
  const auto text = request(admin_port, "GET", "/metrics").body;
  const std::string name = "\nllm_proxy_response_bytes_unsent ";
  const auto at = text.find(name);
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(at + name.size()));
}

/// Returns a client that has sent requests for as long as the service reads them, and reads no answer.
raw_connection deaf(std::uint16_t port, const std::string& asked) {
  raw_connection::options small;
  small.receive_buffer = 4096;
  raw_connection client{port, small};
  std::string many;
  while (many.size() < 256 * 1024) many += asked;
  for (int i = 0; i < 100 && client.send_some(many, 100ms) == many.size(); ++i) {
  }
  return client;
}

/// Waits until bytes are unsent, because a slow service has to fill the sockets' buffers first.
bool soon_unsent(std::uint16_t admin_port) {
  return eventually([&] { return unsent(admin_port) > 0; });
}

/// Waits until the gauge does not change any more, and returns its value.
double settled(std::uint16_t admin_port) {
  double last = -1;
  for (int i = 0; i < 50; ++i) {
    const auto now = unsent(admin_port);
    if (now == last) break;
    last = now;
    std::this_thread::sleep_for(50ms);
  }
  return last;
}

struct question {
  std::string name;
  std::string bytes;
  double largest;  // the most bytes that one answer may have
};

std::vector<question> questions() {
  const double script = 1'740'000;
  return {{"page", get("/docs/swagger-ui.js"), script},
          {"compressed page", get("/docs/swagger-ui.js", "accept-encoding: gzip\r\n"), script},
          {"openapi.json", get("/openapi.json"), 280'000},
          {"small page", get("/ui"), 10'000},
          {"HEAD", get("/docs/swagger-ui.js", {}, "HEAD"), 1'000},
          {"metrics", get("/metrics", key_line), 400'000},
          {"404", get("/v1/nothing", key_line), 1'000},
          {"401", get("/v1/models"), 1'000},
          {"models", get("/v1/models", key_line), 10'000},
          {"health", get_health, 1'000},
          {"chat", chat_bytes(chat_body("m", false, std::string(20'000, 'a'))), 40'000}};
}

}  // namespace

TEST_CASE("unread answers: the next request waits while more than 64 KiB are unsent, on every path",
          "[service][unread]") {
  const certificate cert;
  const bool tls = GENERATE(false, true);
  auto values = mock_settings();
  values.admin_port = free_port();
  values.mock_chunk_delay_ms = 0ms;
  if (tls) {
    values.tls_cert_file = cert.file();
    values.tls_key_file = cert.key();
  }
  const proxy service{values};
  std::optional<tls_tunnel> tunnel;
  if (tls) tunnel.emplace(service.port());
  CHECK(unsent(values.admin_port) == 0);
  for (const auto& [name, bytes, largest] : questions()) {
    CAPTURE(name, tls);
    {
      std::vector<raw_connection> clients;
      const bool scrapes = name == "metrics";
      const int most = scrapes ? unread_scrapes : 3;
      for (int i = 0; i < most; ++i) clients.push_back(deaf(tls ? tunnel->port() : service.port(), bytes));
      if (!tls && !scrapes) CHECK(soon_unsent(values.admin_port));  // with TLS the tunnel buffers much first
      const auto held = settled(values.admin_port);
      CHECK(held <= 3 * (unsent_limit + largest));
    }
    CHECK(eventually([&] { return unsent(values.admin_port) == 0; }));
  }
}

TEST_CASE("unread answers: those of ADMIN_PORT are limited and counted, too", "[service][unread]") {
  auto values = mock_settings();
  values.admin_port = free_port();
  proxy service{values};
  for (const auto& bytes : {get("/metrics"), get_health, get("/nothing"), get("/health/ready", {}, "HEAD")}) {
    CAPTURE(bytes);
    {
      std::vector<raw_connection> clients;
      const bool scrapes = bytes.find("/metrics") != std::string::npos;
      const int most = scrapes ? unread_scrapes : 3;
      for (int i = 0; i < most; ++i) clients.push_back(deaf(values.admin_port, bytes));
      if (!scrapes) CHECK(soon_unsent(values.admin_port));
      const auto held = settled(values.admin_port);
      CHECK(held <= 3 * (unsent_limit + 400'000));
    }
    CHECK(eventually([&] { return unsent(values.admin_port) == 0; }));
  }
}

TEST_CASE("unread answers: a client that reads them in the end gets all of them, in order and whole",
          "[service][unread]") {
  const certificate cert;
  const bool tls = GENERATE(false, true);
  auto values = mock_settings();
  if (tls) {
    values.tls_cert_file = cert.file();
    values.tls_key_file = cert.key();
  }
  CAPTURE(tls);
  proxy service{values};
  std::optional<tls_tunnel> tunnel;
  if (tls) tunnel.emplace(service.port());
  const auto port = tls ? tunnel->port() : service.port();
  const auto script = request(port, "GET", "/docs/swagger-ui.js").body;
  const auto style = request(port, "GET", "/docs/swagger-ui.css").body;
  REQUIRE(script.size() > 1'000'000);
  raw_connection client{port};
  std::string all;
  for (int i = 0; i < 12; ++i) {
    all += get_script + get_health + get("/docs/swagger-ui.css") + chat_bytes(chat_body("m", true, "word"));
  }
  REQUIRE(client.send(all));
  std::this_thread::sleep_for(300ms);
  for (int i = 0; i < 12; ++i) {
    CAPTURE(i);
    CHECK((read_response(client, patience).body == script));
    CHECK(holds(read_response(client, patience).body, "healthy"));
    CHECK((read_response(client, patience).body == style));
    CHECK(sse_events(read_response(client, patience).body).back() == "[DONE]");
  }
  REQUIRE(client.send(get_health));
  CHECK(read_response(client, patience).status == 200);
}

TEST_CASE(
    "unread answers: a client that reads slowly is watched by CLIENT_WRITE_TIMEOUT, not by "
    "KEEP_ALIVE_TIMEOUT",
    "[service][unread]") {
  auto values = mock_settings();
  values.keep_alive_timeout = 300ms;
  proxy service{values};
  raw_connection::options small;
  small.receive_buffer = 64 * 1024;
  raw_connection client{service.port(), small};
  std::string all;
  for (int i = 0; i < 8; ++i) all += get_script;
  REQUIRE(client.send(all));
  // Each pause is longer than KEEP_ALIVE_TIMEOUT, after which an idle connection is closed.
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.read_exactly(100'000, patience).end == read_end::done);
    std::this_thread::sleep_for(500ms);
  }
  std::size_t got = 300'000;
  while (got < 8 * 1'732'839UL) {
    const auto some = client.read_some(2s);
    if (some.end != read_end::done) break;
    got += some.bytes.size();
    if (got > 8 * 1'732'839UL) break;
  }
  CHECK(got > 8 * 1'732'839UL);
  // From now on the connection is idle.
  const auto since = test_clock::now();
  CHECK(client.wait_closed(patience) == read_end::eof);
  CHECK(test_clock::now() - since < 2s);
}

TEST_CASE("unread answers: a client that leaves, and one that never reads, leave nothing behind",
          "[service][unread]") {
  auto values = mock_settings();
  values.admin_port = free_port();
  values.client_write_timeout = 300ms;
  proxy service{values};
  auto client = deaf(service.port(), get_script);
  CHECK(client.wait_closed(1ms) == read_end::timeout);
  CHECK(eventually([&] { return unsent(values.admin_port) == 0; }));
}

TEST_CASE("unread answers: a drain waits for an answer that is on its way", "[service][unread][drain]") {
  // How much the system's buffers hold is not known. With one of these numbers the last answer is half sent
  // when the drain begins.
  for (const int asked : {1, 2, 3, 4}) {
    CAPTURE(asked);
    proxy service{mock_settings()};
    raw_connection::options small;
    small.receive_buffer = 4096;
    raw_connection client{service.port(), small};
    std::string all;
    for (int i = 0; i < asked; ++i) all += get_script;
    REQUIRE(client.send(all));
    REQUIRE(client.read_until("\r\n\r\n", patience).end == read_end::done);
    std::thread draining{[&] { CHECK(service.drain_connections(20s)); }};
    std::this_thread::sleep_for(800ms);  // longer than a drain leaves an idle connection open
    std::size_t got = 0;                 // where the body of the last answer begins
    const auto rest = client.read_to_end(patience);
    client.close();
    draining.join();
    CHECK(rest.end == read_end::eof);
    // All answers must be whole, and only one of them may have connection: close.
    std::size_t heads = 0;
    for (auto at = rest.bytes.find("HTTP/1.1 200 OK\r\n"); at != std::string::npos;
         at = rest.bytes.find("HTTP/1.1 200 OK\r\n", at + 1)) {
      got = rest.bytes.find("\r\n\r\n", at) + 4;
      ++heads;
    }
    CHECK(rest.bytes.size() - got == 1'732'839UL);
    CHECK((heads + 1 == static_cast<std::size_t>(asked) || holds(rest.bytes, "connection: close\r\n")));
  }
}

}  // namespace llm_proxy::test
