#include "http/downstream/connection.hpp"

#include "http/upstream/upstream_socket.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using boost::asio::ip::tcp;

/// One accepted connection of a thread, and the client at its other end.
class connection_stage : public connection_owner {
 public:
  connection_stage() {
    tcp::acceptor listening{io_, {boost::asio::ip::address_v4::loopback(), 0}};
    client_.connect(listening.local_endpoint());
    client_.non_blocking(true);
    owned_descriptor accepted{listening.accept().release()};
    served_ = std::make_shared<connection>(std::move(accepted), sockets_, writes, timers_, timeouts_, *this);
    served_->start();
  }
  ~connection_stage() { end(); }

  void end() {
    if (served_) std::exchange(served_, nullptr)->close();
  }
  std::size_t socket_count() const { return sockets_.socket_count(); }

  /// Sends a request and waits until it has arrived.
  void ask() {
    asked_ = false;
    boost::asio::write(client_, boost::asio::buffer(std::string_view{"GET / HTTP/1.1\r\nhost: x\r\n\r\n"}));
    for (int round = 0; round < 100 && !asked_; ++round) {
      sockets_.run_round(100);
      writes.run();
    }
    REQUIRE(std::exchange(asked_, false));
  }
  void answer() {
    served_->start_answer({200, {}}, body_framing::content_length, 5, false);
    served_->write("hello");
    served_->end_answer();
  }
  /// Runs the thread for a while. Returns whether a request has reached the owner since the last call.
  bool goes_on(int rounds = 20) {
    for (int round = 0; round < rounds; ++round) {
      sockets_.run_round(1);
      writes.run();
    }
    return std::exchange(asked_, false);
  }
  void send(std::string_view bytes) { boost::asio::write(client_, boost::asio::buffer(bytes)); }
  /// Reads until `size` bytes have come, and returns all of them.
  std::string read(std::size_t size) {
    std::string all;
    std::vector<char> bytes(1 << 20);
    for (int round = 0; round < 100'000 && all.size() < size; ++round) {
      boost::system::error_code ec;
      all.append(bytes.data(), client_.read_some(boost::asio::buffer(bytes), ec));
      sockets_.run_round(0);
      writes.run();
    }
    return all;
  }
  connection& served() { return *served_; }
  bool idle() const { return !idle_.empty(); }
  void leave() { client_.close(); }

  /// Returns what has come to the client by now.
  std::string received() {
    std::array<char, 4096> bytes{};
    boost::system::error_code ec;
    const auto size = client_.read_some(boost::asio::buffer(bytes), ec);
    return {bytes.data(), size};
  }

  turn writes;

 private:
  void on_request(const std::shared_ptr<exchange>&) override {
    asked_ = true;
    CHECK_FALSE(served_->idle_hook::is_linked());
  }
  void on_idle(connection& which) override { idle_.push_back(which); }
  void on_closed(const std::shared_ptr<connection>&) override {}

  const connection_timeouts timeouts_{std::chrono::seconds{5}, std::chrono::seconds{5},
                                      std::chrono::seconds{5}, std::chrono::seconds{5}};
  boost::asio::io_context io_;
  reactor sockets_;
  deadlines timers_;
  tcp::socket client_{io_};
  std::shared_ptr<connection> served_;
  bool asked_ = false;
  boost::intrusive::list<connection, boost::intrusive::base_hook<idle_hook>,
                         boost::intrusive::constant_time_size<false>>
      idle_;
};

}  // namespace

TEST_CASE("connection: a lone answer is sent when it is whole, one of many at the end of the turn",
          "[unit][connection]") {
  connection_stage stage;
  stage.ask();
  stage.writes.note_ready(1);
  stage.answer();
  CHECK(stage.received().ends_with("\r\n\r\nhello"));
  stage.writes.run();
  CHECK(stage.received().empty());

  stage.ask();
  stage.writes.note_ready(2);
  stage.answer();
  CHECK(stage.received().empty());
  stage.writes.run();
  CHECK(stage.received().ends_with("\r\n\r\nhello"));
}

TEST_CASE("connection: the next request does not begin while more than 64 KiB of the last answer are unsent",
          "[unit][connection]") {
  connection_stage stage;
  const std::string_view get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
  const std::string body(32'000'000, 'b');  // more than the system's buffers can hold
  const bool constant = GENERATE(false, true);
  CAPTURE(constant);
  stage.ask();
  stage.send(get);
  stage.served().start_answer({200, {}}, body_framing::content_length, body.size(), false);
  constant ? stage.served().write_constant(body) : stage.served().write(body);
  stage.served().end_answer();
  CHECK_FALSE(stage.goes_on());
  CHECK(stage.served().backlog() > 64 * 1024);
  CHECK(stage.writes.unsent_bytes() == stage.served().backlog());
  CHECK_FALSE(stage.idle());
  // Meanwhile a client that leaves is noticed, and a client that reads gets its next request served.
  const bool leaves = GENERATE(false, true);
  if (leaves) {
    stage.leave();
    stage.goes_on();
    CHECK(stage.served().closed());
  } else {
    CHECK(stage.read(body.size()).ends_with("bbbb"));
    CHECK(stage.goes_on());
    stage.answer();
    stage.goes_on();
    CHECK(stage.received().ends_with("hello"));
    CHECK(stage.idle());
  }
  CHECK(stage.writes.unsent_bytes() == 0);
}

TEST_CASE("connection: constant bytes keep their place among others", "[unit][connection]") {
  connection_stage stage;
  const std::string before(8'000'000, 'a');
  const std::string constant(8'000'000, 'c');
  const std::string small(100, 's');
  const std::string after(200'000, 'z');
  for (int i = 0; i < 2; ++i) {
    stage.ask();
    stage.served().start_answer({200, {}}, body_framing::content_length,
                                before.size() + 2 * constant.size() + small.size() + after.size(), false);
    stage.served().write(before);
    if (i == 1) stage.goes_on(2);  // half of it is on its way
    stage.served().write_constant(constant);
    if (i == 1) stage.goes_on(2);
    stage.served().write_constant(small);
    stage.served().write_constant(constant);
    stage.served().write(after);
    stage.served().end_answer();
    const auto expected = before + constant + small + constant + after;
    const auto got = stage.read(expected.size() + 60);
    REQUIRE(got.size() > expected.size());
    CHECK((got.substr(got.size() - expected.size()) == expected));
    CHECK(stage.writes.unsent_bytes() == 0);
  }
}

TEST_CASE("connection: its unsent bytes are no longer counted after it is closed", "[unit][connection]") {
  connection_stage stage;
  stage.ask();
  stage.served().start_answer({200, {}}, body_framing::until_close, 0, true);
  stage.served().write(std::string(32'000'000, 'b'));
  stage.goes_on(2);
  CHECK(stage.writes.unsent_bytes() > 0);
  stage.end();
  CHECK(stage.writes.unsent_bytes() == 0);
}

TEST_CASE("connection: it is idle before its first request and after each request, but not during one",
          "[unit][connection]") {
  connection_stage stage;
  CHECK(stage.idle());
  CHECK_FALSE(stage.served().is_used());
  stage.send("GET / HT");
  CHECK_FALSE(stage.goes_on());
  CHECK_FALSE(stage.idle());  // from its first byte the deadline of the head applies
  stage.send("TP/1.1\r\nhost: x\r\n\r\n");
  CHECK(stage.goes_on());
  CHECK_FALSE(stage.idle());
  CHECK_FALSE(stage.served().close_if_idle());
  stage.answer();
  stage.goes_on();
  CHECK(stage.idle());
  CHECK(stage.served().is_used());
  // A connection with a request that has not been read yet is not closed.
  stage.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  CHECK_FALSE(stage.served().close_if_idle());
  CHECK_FALSE(stage.idle());
  stage.answer();
  stage.goes_on();
  CHECK(stage.idle());
  CHECK(stage.served().close_if_idle());
  CHECK_FALSE(stage.idle());
}

TEST_CASE("reactor: it counts the sockets of clients and upstreams until they are closed",
          "[unit][connection]") {
  connection_stage stage;
  CHECK(stage.socket_count() == 1);
  stage.end();
  stage.writes.run();
  CHECK(stage.socket_count() == 0);

  reactor sockets;
  auto upstream = std::make_shared<upstream_socket>(sockets, nullptr);
  CHECK(sockets.socket_count() == 1);
  upstream->close();
  CHECK(sockets.socket_count() == 0);
  upstream.reset();
  CHECK(sockets.socket_count() == 0);
}

}  // namespace llm_proxy
