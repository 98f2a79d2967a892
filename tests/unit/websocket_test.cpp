#include "http/websocket/websocket.hpp"

#include "http/system/owned_descriptor.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

/// A thread with one WebSocket, run by hand, and the bytes of its client.
class stage final : private websocket_events, private watcher {
 public:
  explicit stage(websocket_limits limits = {1'000, 5s}) {
    tcp::acceptor listening{io_, {boost::asio::ip::address_v4::loopback(), 0}};
    client_.open(tcp::v4());
    client_.set_option(boost::asio::socket_base::receive_buffer_size{64 * 1024});
    client_.connect(listening.local_endpoint());
    client_.non_blocking(true);
    transport_socket accepted{home_};
    accepted.open(listening.accept().release(), *this);
    request_head asked;
    asked.method = "GET";
    asked.target = "/";
    for (const auto& [name, value] : std::vector<std::pair<std::string_view, std::string_view>>{
             {"host", "h"},
             {"upgrade", "websocket"},
             {"connection", "upgrade"},
             {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
             {"sec-websocket-version", "13"}})
      asked.headers.add(name, value);
    header_list headers;
    headers.add("x-request-id", "7");
    socket = std::make_shared<websocket>(context_, timers, limits, static_cast<websocket_events&>(*this));
    socket->accept(accepted, {}, asked, headers);
    head = received();
  }
  ~stage() {
    if (socket->is_open()) socket->abort("the test is over");
    socket.reset();
    run();
  }

  void run() {
    for (int round = 0; round < 20; ++round) home_.run_round(1);
  }
  void advance(steady_clock::duration time) {
    timers.advance(time);
    run();
  }
  /// Sends a masked frame with a zero mask.
  void frame(unsigned first, std::string_view payload) {
    std::string bytes{static_cast<char>(first), static_cast<char>(0x80U | payload.size())};
    bytes.append(4, '\0').append(payload);
    boost::asio::write(client_, boost::asio::buffer(bytes));
    run();
  }
  std::string received() {
    run();
    std::string all;
    std::array<char, 65'536> bytes{};
    boost::system::error_code ec;
    while (const auto size = client_.read_some(boost::asio::buffer(bytes), ec))
      all.append(bytes.data(), size);
    is_ended = is_ended || ec == boost::asio::error::eof || ec == boost::asio::error::connection_reset;
    return all;
  }
  void leave() {
    client_.close();
    run();
  }

  deadlines timers;
  std::shared_ptr<websocket> socket;
  std::string head;
  std::vector<std::string> messages;
  std::vector<std::string> closed;
  bool is_ended = false;

 private:
  void on_message(std::string_view message, bool is_text) override {
    messages.push_back((is_text ? "text:" : "binary:") + std::string{message});
  }
  void on_sent() override {}
  void on_closed(std::string_view why) override { closed.emplace_back(why); }
  void on_ready(readiness) override {}

  boost::asio::io_context io_;
  reactor home_;
  loop_context context_{home_};
  tcp::socket client_{io_};
};

}  // namespace

TEST_CASE("websocket: it answers with 101, and messages go both ways", "[unit][websocket]") {
  stage it;
  CHECK(it.head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
  CHECK(it.head.find("x-request-id: 7\r\n") != std::string::npos);
  CHECK(it.head.find("Server: llm-proxy\r\n") != std::string::npos);
  it.frame(0x81, "hello");
  it.frame(0x82, "bin");
  CHECK(it.messages == std::vector<std::string>{"text:hello", "binary:bin"});
  it.socket->send("one");
  it.socket->send("two");
  CHECK(it.socket->backlog() == 6);
  CHECK(it.received() == "\x81\x03one\x81\x03two");
  CHECK(it.socket->backlog() == 0);
}

TEST_CASE("websocket: each side may close, and the owner is told once", "[unit][websocket]") {
  stage it;
  SECTION("the peer") {
    it.frame(0x88,
             "\x03\xE8"
             "bye");
    CHECK(it.received().starts_with("\x88"));
    CHECK(it.closed == std::vector<std::string>{"closed by the peer with 1000: bye"});
  }
  SECTION("we, after what waits was sent") {
    it.socket->send("last");
    it.socket->close(websocket_close::going_away, "over");
    it.socket->send("dropped");
    CHECK(it.received() == "\x81\x04last\x88\x06\x03\xE9over");
    CHECK(it.closed.empty());
    it.frame(0x88, "\x03\xE9");
    CHECK(it.closed == std::vector<std::string>{"closed with 1001"});
  }
  SECTION("we, and the peer does not answer") {
    it.socket->close(websocket_close::going_away, {});
    it.run();
    it.advance(3s);
    CHECK(it.closed == std::vector<std::string>{"the peer did not answer the close"});
  }
  SECTION("the peer, without a word") {
    it.leave();
    CHECK(it.closed == std::vector<std::string>{"the peer left without a close"});
  }
  it.received();
  CHECK_FALSE(it.socket->is_open());
  it.socket->abort("again");
  CHECK(it.closed.size() == 1);
}

TEST_CASE("websocket: a quiet peer is pinged, and one that says nothing has gone", "[unit][websocket]") {
  stage it;
  it.advance(19s);
  CHECK(it.received().empty());
  it.advance(2s);
  CHECK(it.received() == std::string_view{"\x89\x00", 2});
  it.frame(0x8A, "");
  it.advance(21s);
  CHECK(it.received() == std::string_view{"\x89\x00", 2});
  CHECK(it.closed.empty());
  // The last word was the pong at 21 s.
  it.advance(21s);
  it.advance(21s);
  CHECK(it.closed == std::vector<std::string>{"the peer has fallen silent"});
}

TEST_CASE("websocket: a message that is too large is the end", "[unit][websocket]") {
  stage it{{100, 5s}};
  it.frame(0x81, std::string(101, 'x'));
  CHECK(it.messages.empty());
  const auto close = it.received();
  REQUIRE(close.size() >= 4);
  CHECK(close.substr(0, 1) == "\x88");
  CHECK(close.substr(2, 2) == "\x03\xF1");  // 1009
  CHECK(it.closed.size() == 1);
}

TEST_CASE("websocket: a peer that does not read is given up, one that reads slowly is not",
          "[unit][websocket]") {
  stage it{{1'000, 5s}};
  it.socket->send(std::string(20'000'000, 'x'));  // far more than the buffers of the system take
  it.run();
  REQUIRE(it.socket->backlog() > 0);
  // It reads a part in each period.
  for (int i = 0; i < 4; ++i) {
    it.received();
    it.advance(6s);
    CHECK(it.closed.empty());
  }
  it.socket->send("never sent");
  // What the system's buffers take counts as progress once more.
  for (int i = 0; i < 10 && it.closed.empty(); ++i) it.advance(6s);
  CHECK(it.closed == std::vector<std::string>{"the peer did not answer the close"});
}

}  // namespace llm_proxy
