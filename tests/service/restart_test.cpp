// How the built program starts and ends: the announced shutdown, the last connections, sockets that are
// handed over, and too many connections.
#include "support/program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// A listening socket that the test holds, as a service manager does.
class held_socket {
 public:
  held_socket() {
    boost::asio::io_context io;
    boost::asio::ip::tcp::acceptor acceptor{io, {boost::asio::ip::address_v4::loopback(), 0}};
    port_ = acceptor.local_endpoint().port();
    fd_ = acceptor.release();
  }
  ~held_socket() { ::close(fd_); }
  held_socket(const held_socket&) = delete;
  held_socket& operator=(const held_socket&) = delete;
  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }

 private:
  int fd_ = -1;
  std::uint16_t port_ = 0;
};

struct outcomes {
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};  // could not connect
  std::atomic<int> broken{0};   // connected, but got no whole answer
};

/// Sends each request on a new connection, until `stop` is set or nobody listens.
void knock(std::uint16_t port, outcomes& all, const std::atomic<bool>& stop) {
  while (!stop) {
    try {
      raw_connection client{port};
      client.send(chat_bytes(chat_body("m")));
      const auto answer = read_response(client, patience);
      ++(answer.status == 200 && answer.complete ? all.answered : all.broken);
    } catch (const std::system_error&) {
      ++all.refused;
      return;
    }
  }
}

/// Sends requests on one connection for as long as the service keeps it, and then on another one.
void keep_asking(std::uint16_t port, outcomes& all, const std::atomic<bool>& stop) {
  while (!stop) {
    try {
      raw_connection client{port};
      for (bool kept = true; kept && !stop;) {
        client.send(chat_bytes(chat_body("m")));
        const auto answer = read_response(client, patience);
        ++(answer.status == 200 && answer.complete ? all.answered : all.broken);
        kept = answer.status == 200 && answer.header("connection") != "close";
        std::this_thread::sleep_for(1ms);
      }
    } catch (const std::system_error&) {
      ++all.refused;
    }
  }
}

}  // namespace

TEST_CASE("restart: after SIGTERM it is not ready, but still listens for DRAIN_DELAY", "[service][restart]") {
  child_process service{program, with(mock_environment({{"LLM_PROXY__DRAIN_DELAY", "1s"}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  CHECK(request(port, "GET", "/health/ready").status == 200);
  const auto since = test_clock::now();
  service.signal(SIGTERM);
  REQUIRE(eventually([&] { return request(port, "GET", "/health/ready").status == 503; }));
  CHECK(test_clock::now() - since < 500ms);
  // Clients that do not know of the shutdown yet are served as usual.
  raw_connection late{port};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(late.send(chat_bytes(chat_body("m"))));
    const auto answer = read_response(late, patience);
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.has("connection"));
  }
  CHECK(late.wait_closed(patience) == read_end::eof);
  CHECK(test_clock::now() - since >= 1s);
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("restart: a second signal ends DRAIN_DELAY and the requests in flight", "[service][restart]") {
  child_process service{program, with(mock_environment({{"LLM_PROXY__DRAIN_DELAY", "10m"},
                                                        {"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "600000"}}))};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  raw_connection client{port};
  REQUIRE(client.send(chat_bytes(chat_body("m", true))));
  REQUIRE(client.read_until("\n\n", patience).end == read_end::done);
  service.signal(SIGTERM);
  REQUIRE(eventually([&] { return request(port, "GET", "/health/ready").status == 503; }));
  service.signal(SIGTERM);
  const auto rest = client.read_to_end(patience);
  CHECK(holds(rest.bytes, R"("code":"drained")"));
  client.close();
  CHECK(service.wait(long_patience) == 0);
}

TEST_CASE("restart: no connection from before the end of listening is reset", "[service][restart]") {
  for (int round = 0; round < 5; ++round) {
    proxy service{mock_settings()};
    outcomes all;
    std::atomic<bool> stop{false};
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i) {
      clients.emplace_back([&] { knock(service.port(), all, stop); });
    }
    REQUIRE(eventually([&] { return all.answered > 20; }));
    CHECK(service.drain_connections(20s));
    stop = true;
    for (auto& each : clients) each.join();
    CHECK(all.broken == 0);
  }
}

TEST_CASE("restart: connections that wait because of MAX_CONNECTIONS when listening ends are served",
          "[service][restart]") {
  auto values = mock_settings();
  values.max_connections = 1;
  values.mock_chunk_delay_ms = 50ms;
  proxy service{values};
  raw_connection inside{service.port()};
  REQUIRE(inside.send(chat_bytes(chat_body("m", true, "a b c d e f g h"))));
  REQUIRE(inside.read_until("\n\n", patience).end == read_end::done);
  std::vector<raw_connection> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.emplace_back(service.port());
    REQUIRE(waiting.back().send(chat_bytes(chat_body("m"))));
  }
  CHECK(waiting.back().stays_quiet(100ms));
  std::thread draining{[&] { CHECK(service.drain_connections(20s)); }};
  for (auto& each : waiting) {
    CHECK(read_response(each, patience).status == 200);
    CHECK(each.wait_closed(patience) == read_end::eof);
    each.close();
  }
  draining.join();
}

TEST_CASE("restart: an idle connection stays open for a moment, because a request may be under way",
          "[service][restart]") {
  proxy service{mock_settings()};
  raw_connection kept{service.port()};
  REQUIRE(kept.send(get_health));
  CHECK(read_response(kept, patience).status == 200);
  raw_connection fresh{service.port()};
  std::thread draining{[&] { CHECK(service.drain_connections(20s)); }};
  std::this_thread::sleep_for(300ms);
  for (auto* each : {&kept, &fresh}) {
    CHECK(each->send(get_health));
    const auto answer = read_response(*each, patience);
    CHECK(answer.status == 200);
    CHECK(answer.header("connection") == "close");
    CHECK(each->wait_closed(patience) == read_end::eof);
    each->close();
  }
  draining.join();
}

TEST_CASE("restart: a successor on the same socket takes over without a failed request",
          "[service][restart]") {
  const held_socket held;
  auto how = with(mock_environment());
  how.listening = held.fd();
  child_process old{program, how};
  REQUIRE(port_of(old) == held.port());
  CHECK(holds(old.out(), "handed over"));
  outcomes all;
  std::atomic<bool> stop{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] { knock(held.port(), all, stop); });
    clients.emplace_back([&] { keep_asking(held.port(), all, stop); });
  }
  std::string words;
  for (int i = 0; i < 600; ++i) words += " w" + std::to_string(i);
  raw_connection stream{held.port()};
  REQUIRE(stream.send(chat_bytes(chat_body("m", true, words))));
  REQUIRE(stream.read_until("\n\n", patience).end == read_end::done);
  REQUIRE(eventually([&] { return all.answered > 100; }));

  child_process successor{program, how};
  REQUIRE(port_of(successor) == held.port());
  old.signal(SIGTERM);
  REQUIRE(old.wait_for_output("no new connections", long_patience));
  std::this_thread::sleep_for(700ms);
  const int before = all.answered;
  REQUIRE(eventually([&] { return all.answered > before + 100; }));
  // The old process serves the stream to its end before it exits.
  const auto rest = stream.read_to_end(20s);
  CHECK(rest.end == read_end::eof);
  CHECK(holds(rest.bytes, "w599"));
  CHECK(holds(rest.bytes, "data: [DONE]\n\n\r\n0\r\n\r\n"));
  stream.close();
  CHECK(old.wait(long_patience) == 0);

  stop = true;
  for (auto& each : clients) each.join();
  CHECK(all.broken == 0);
  CHECK(all.refused == 0);
  // This also works when one process ends before the next starts: connections in between wait in the socket.
  successor.signal(SIGTERM);
  CHECK(successor.wait(long_patience) == 0);
  raw_connection between{held.port()};
  REQUIRE(between.send(get_health));
  child_process third{program, how};
  CHECK(read_response(between, long_patience).status == 200);
}

TEST_CASE("restart: if a handed over socket is invalid the program exits with 1 and names the variable",
          "[service][restart]") {
  auto how = with(mock_environment());
  const int deaf = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  how.listening = deaf;
  child_process service{program, how};
  CHECK(service.wait(long_patience) == 1);
  CHECK(holds(service.err(), "LISTEN_FDS"));
  ::close(deaf);
  child_process nobodys{program, with(mock_environment({{"LISTEN_FDS", "1"}}))};
  CHECK(nobodys.wait(long_patience) == 1);
  CHECK(holds(nobodys.err(), "LISTEN_PID"));
}

TEST_CASE("restart: the default key is refused with a handed over socket that other machines can reach",
          "[service][restart]") {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor open{io, {boost::asio::ip::address_v4::any(), 0}};
  auto how = with({});
  how.listening = open.native_handle();
  child_process service{program, how};
  CHECK(service.wait(long_patience) == 1);
  CHECK(holds(service.err(), "LLM_PROXY__INTERNAL_API_KEY"));
}

TEST_CASE("restart: after SIGKILL the port is free immediately, even if connections were open",
          "[service][restart]") {
  auto values = mock_environment({{"LLM_PROXY__MOCK_CHUNK_DELAY_MS", "600000"}});
  values["LLM_PROXY__PORT"] = std::to_string(free_port());
  raw_connection* left = nullptr;
  std::vector<raw_connection> clients;
  for (int round = 0; round < 3; ++round) {
    child_process service{program, with(values)};
    const auto port = port_of(service);
    REQUIRE(std::to_string(port) == values["LLM_PROXY__PORT"]);
    clients.emplace_back(port);
    left = &clients.back();
    REQUIRE(left->send(chat_bytes(chat_body("m", true))));
    REQUIRE(left->read_until("\n\n", patience).end == read_end::done);
    service.signal(SIGKILL);
    CHECK(service.wait(long_patience) == 128 + SIGKILL);
  }
}

TEST_CASE("connections: beyond MAX_CONNECTIONS they wait, and are served when others have left",
          "[service][connections]") {
  auto values = mock_settings();
  values.max_connections = 3;
  values.mock_chunk_delay_ms = 1h;
  proxy service{values};
  for (int round = 0; round < 3; ++round) {
    // None of these connections is idle, so none is closed for others.
    std::vector<raw_connection> open;
    for (int i = 0; i < 3; ++i) {
      open.emplace_back(service.port());
      REQUIRE(open.back().send(chat_bytes(chat_body("m", true))));
      REQUIRE(open.back().read_until("\n\n", patience).end == read_end::done);
    }
    raw_connection waiting{service.port()};
    REQUIRE(waiting.send(get_health));
    const auto cpu = std::clock();
    CHECK(waiting.stays_quiet(500ms));
    CHECK(std::clock() - cpu < CLOCKS_PER_SEC / 4);  // no thread spins
    open.pop_back();
    CHECK(read_response(waiting, patience).status == 200);
  }
}

TEST_CASE("connections: when descriptors run out it waits, logs that, and recovers",
          "[service][connections]") {
  auto how = with(mock_environment({{"LLM_PROXY__MAX_CONNECTIONS", "1000"}}));
  how.max_files = 60;
  const std::string half_a_head =
      "GET /health HTTP/1.1\r\n";  // an idle connection would be closed for others
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  raw_connection inside{port};
  REQUIRE(inside.send(get_health + half_a_head));
  REQUIRE(read_response(inside, patience).status == 200);
  for (int round = 0; round < 2; ++round) {
    std::vector<raw_connection> crowd;
    for (int i = 0; i < 80; ++i) {
      crowd.emplace_back(port);
      REQUIRE(crowd.back().send(half_a_head));
    }
    raw_connection waiting{port};
    REQUIRE(waiting.send(get_health));
    CHECK(waiting.stays_quiet(500ms));
    REQUIRE(inside.send("host: x\r\n\r\n" + chat_bytes(chat_body("m")) + half_a_head));
    CHECK(read_response(inside, patience).status == 200);
    CHECK(read_response(inside, patience).status == 200);
    crowd.clear();
    CHECK(read_response(waiting, patience).status == 200);
    std::this_thread::sleep_for(300ms);  // after that no client waits any more
  }
  service.signal(SIGTERM);
  CHECK(service.wait(long_patience) == 0);
  const auto said = [&](std::string_view text) {
    int times = 0;
    for (auto at = service.out().find(text); at != std::string::npos; at = service.out().find(text, at + 1)) {
      ++times;
    }
    return times;
  };
  // At least once per round. It may be logged more often, because waiting clients move up while others leave.
  CHECK(said("accepting no connections for now") >= 2);
  CHECK(said("accepting no connections for now") <= 8);
  CHECK(said("accepting connections again") >= 2);
}

TEST_CASE("connections: without MAX_CONNECTIONS clients get half of all descriptors but 64",
          "[service][connections]") {
  auto how = with(mock_environment());
  how.max_files = 100;
  child_process service{program, how};
  const auto port = port_of(service);
  REQUIRE(port != 0);
  std::vector<raw_connection> crowd;
  for (int i = 0; i < 18; ++i) {
    crowd.emplace_back(port);
    REQUIRE(crowd.back().send(get_health + "GET /health"));  // an idle connection would be closed for others
    REQUIRE(read_response(crowd.back(), patience).status == 200);
  }
  raw_connection waiting{port};
  REQUIRE(waiting.send(get_health));
  CHECK(waiting.stays_quiet(300ms));
  crowd.pop_back();
  CHECK(read_response(waiting, patience).status == 200);
}

TEST_CASE("connections: 2,000 idle ones do not slow others down", "[service][connections]") {
  proxy service{mock_settings()};
  raw_connection client{service.port()};
  std::vector<raw_connection> idle;
  for (int i = 0; i < 2'000; ++i) {
    idle.emplace_back(service.port());
    if (i % 2 == 0) REQUIRE(idle.back().send("GET /heal"));  // every second client is slow, not idle
  }
  std::vector<test_clock::duration> took;
  for (int i = 0; i < 51; ++i) {
    const auto since = test_clock::now();
    REQUIRE(client.send(chat_bytes(chat_body("m"))));
    REQUIRE(read_response(client, patience).status == 200);
    took.push_back(test_clock::now() - since);
  }
  std::sort(took.begin(), took.end());
  CHECK(took[took.size() / 2] < 50ms);
  REQUIRE(idle.back().send(get_health));
  CHECK(read_response(idle.back(), patience).status == 200);
}

}  // namespace llm_proxy::test
