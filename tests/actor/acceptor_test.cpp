// Tests of the acceptor by itself: how it stops listening, how it makes room for new connections, and what
// happens when one of its handlers throws.
#include "actors/service/acceptor.hpp"

#include "http/downstream/listener.hpp"
#include "support/actor_stage.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>

namespace llm_proxy::test {

namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::string_view get_health = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";

class acceptor_stage {
 public:
  explicit acceptor_stage(std::size_t max_connections = 100) {
    auto context = std::make_shared<session_context>();
    context->home = &stage.home();
    context->options.version = "test";
    auto listener = open_listener(stage.io(), "127.0.0.1", 0);
    where = listener.local_endpoint();
    acceptor = stage.cast(
        spawn_on(stage.system(), stage.home(), ::llm_proxy::acceptor, &stage.home(),
                 acceptor_options{{10s, 60s, 60s, 75s}, context, counts, max_connections, nullptr}));
    stage.tell(acceptor, start_listening{listener.release(), false, {acceptor}});
  }
  ~acceptor_stage() { stage.kill(acceptor); }

  /// Bytes between two sockets of one machine arrive immediately, but not in the same turn.
  void settle() {
    for (int i = 0; i < 5; ++i) stage.poll();
  }
  std::unique_ptr<tcp::socket> connect() {
    auto client = std::make_unique<tcp::socket>(stage.io());
    client->connect(where);
    client->set_option(tcp::no_delay{true});
    settle();
    return client;
  }
  /// Sends `bytes` and returns the service's answer: "silence" if there is none, "closed: …" with the reason
  /// if the connection has ended.
  std::string say(tcp::socket& client, std::string_view bytes) {
    boost::asio::write(client, boost::asio::buffer(bytes.data(), bytes.size()));
    return hear(client);
  }
  std::string hear(tcp::socket& client) {
    settle();
    std::array<char, 4096> got{};
    boost::system::error_code ec;
    client.non_blocking(true);
    const auto n = client.read_some(boost::asio::buffer(got), ec);
    if (ec == boost::asio::error::would_block) return "silence";
    return ec ? "closed: " + ec.message() : std::string{got.data(), n};
  }

  /// Returns a socket as another thread's acceptor passes it on to this one.
  std::shared_ptr<handed_over_socket> hand_over(int descriptor) {
    auto socket = std::make_shared<handed_over_socket>(counts, 0);
    socket->hold(descriptor);
    return socket;
  }

  actor_stage stage;
  std::shared_ptr<connection_counts> counts = std::make_shared<connection_counts>(1);
  acceptor_actor acceptor;
  tcp::endpoint where;
};

bool is_answer(const std::string& text) {
  return text.starts_with("HTTP/1.1 200 OK");
}

}  // namespace

TEST_CASE("acceptor: told to stop listening it serves those who are connected, and accepts nobody else",
          "[actor][acceptor]") {
  acceptor_stage on;
  auto early = on.connect();
  auto stopping = on.stage.ask<listening_stopped>(on.acceptor, stop_listening{});
  CHECK(stopping->open());  // handshakes under way may end
  // A handshake that began now would be reset when the socket is closed, so it must not be answered.
  const int late = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK(::connect(late, on.where.data(), static_cast<socklen_t>(on.where.size())) == -1);
  on.settle();
  pollfd connecting{late, POLLOUT, 0};
  CHECK(::poll(&connecting, 1, 50) == 0);
  ::close(late);
  CHECK(is_answer(on.say(*early, get_health)));
  on.stage.advance(100ms);
  CHECK_FALSE(stopping->open());
  tcp::socket refused{on.stage.io()};
  boost::system::error_code ec;
  refused.connect(on.where, ec);
  CHECK(ec == boost::asio::error::connection_refused);
  CHECK(is_answer(on.say(*early, get_health)));
}

TEST_CASE("acceptor: a request that arrives in the last moment of an idle connection is answered",
          "[actor][acceptor]") {
  acceptor_stage on;
  auto client = on.connect();
  CHECK(is_answer(on.say(*client, get_health)));
  const bool draining = GENERATE(true, false);
  CAPTURE(draining);
  std::shared_ptr<reply<drained>> end;
  if (draining) end = on.stage.ask<drained>(on.acceptor, drain{});
  // The request is in the system's buffer, and the service has not read it when the connection's time is
  // over.
  boost::asio::write(*client, boost::asio::buffer(get_health.data(), get_health.size()));
  on.stage.home().timers().advance(draining ? 500ms : 75s);
  const auto answer = on.hear(*client);
  CHECK(is_answer(answer));
  CHECK((answer.find("connection: close") != std::string::npos) == draining);
  if (!draining) {
    on.stage.advance(75s);
    CHECK(on.hear(*client).starts_with("closed: End of file"));
    return;
  }
  CHECK(on.hear(*client).starts_with("closed: End of file"));
  client->close();
  on.settle();
  CHECK_FALSE(end->open());
}

TEST_CASE(
    "acceptor: told to make room it closes the connection that has been idle longest, never-used ones first",
    "[actor][acceptor]") {
  acceptor_stage on;
  auto used = on.connect();
  CHECK(is_answer(on.say(*used, get_health)));
  auto first = on.connect();
  auto second = on.connect();
  const auto make_room_now = [&](bool used_too) {
    return on.stage.ask<room_made>(on.acceptor, make_room{used_too})->value->closed_one;
  };
  CHECK(make_room_now(false));
  CHECK(on.hear(*first).starts_with("closed: End of file"));
  CHECK(on.hear(*second) == "silence");
  CHECK(make_room_now(true));
  CHECK(on.hear(*second).starts_with("closed: End of file"));
  CHECK_FALSE(make_room_now(false));
  CHECK(on.hear(*used) == "silence");
  // A connection whose next request has arrived is kept, even if the request has not been read yet.
  boost::asio::write(*used, boost::asio::buffer(get_health.data(), get_health.size()));
  const auto before = on.counts->front().load();
  caf::anon_send(on.acceptor, make_room{true});
  on.settle();
  CHECK(on.counts->front() == before);
  CHECK(is_answer(on.hear(*used)));
  CHECK(make_room_now(true));
  CHECK_FALSE(make_room_now(true));
  CHECK(on.counts->front() == 0);
}

TEST_CASE("acceptor: when all places are taken an idle connection is closed for a new one",
          "[actor][acceptor]") {
  acceptor_stage on{2};
  auto used = on.connect();
  CHECK(is_answer(on.say(*used, get_health)));
  auto silent = on.connect();
  CHECK(on.hear(*silent) == "silence");  // full, and nobody waits
  auto third = on.connect();
  CHECK(on.hear(*silent).starts_with("closed: End of file"));
  CHECK(is_answer(on.say(*third, get_health)));
  CHECK(on.counts->front() == 2);
  // Connections with half a head are not closed for others, because they have a deadline of their own.
  CHECK(on.say(*used, "GET /health HT") == "silence");
  CHECK(on.say(*third, "GET /health HT") == "silence");
  auto waiting = on.connect();
  CHECK(on.say(*waiting, get_health) == "silence");
  on.stage.advance(1s);
  CHECK(on.hear(*waiting) == "silence");
  CHECK_THAT(on.say(*third, "TP/1.1\r\nhost: x\r\n\r\n"), Catch::StartsWith("HTTP/1.1 200 OK"));
  on.stage.advance(10ms);
  CHECK_THAT(on.hear(*waiting), Catch::StartsWith("HTTP/1.1 200 OK"));
  CHECK(on.hear(*third).starts_with("closed: End of file"));
}

TEST_CASE("acceptor: an exception in a handler loses only that message, and no connection",
          "[actor][acceptor]") {
  acceptor_stage on;
  auto client = on.connect();
  on.stage.tell(on.acceptor,
                start_listening{-1, false, {on.acceptor}});  // assigning an invalid descriptor throws
  on.stage.tell(on.acceptor, adopt_socket{on.hand_over(-1)});
  CHECK(on.counts->front() == 1);  // the client's
  CHECK(is_answer(on.say(*client, get_health)));
}

TEST_CASE("acceptor: a socket that is handed to it is served, and counted until its client leaves",
          "[actor][acceptor]") {
  acceptor_stage on;
  tcp::acceptor elsewhere{on.stage.io(), tcp::endpoint{on.where.address(), 0}};
  tcp::socket client{on.stage.io()};
  client.connect(elsewhere.local_endpoint());
  on.stage.tell(on.acceptor, adopt_socket{on.hand_over(elsewhere.accept().release())});
  CHECK(is_answer(on.say(client, get_health)));
  CHECK(on.counts->front() == 1);
  client.close();
  on.settle();
  CHECK(on.counts->front() == 0);
}

TEST_CASE("acceptor: a socket that is handed to an ended acceptor is closed, and no longer counted",
          "[actor][acceptor]") {
  acceptor_stage on;
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  const owned_descriptor mine{ends[0]};
  auto handed_over = on.hand_over(ends[1]);
  CHECK(on.counts->front() == 1);
  on.stage.kill(on.acceptor);
  on.stage.tell(on.acceptor, adopt_socket{std::move(handed_over)});
  char byte = 0;
  CHECK(::recv(mine.get(), &byte, 1, MSG_DONTWAIT) == 0);
  CHECK(on.counts->front() == 0);
}

}  // namespace llm_proxy::test
