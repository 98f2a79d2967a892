#include "http/connection.hpp"

#include "http/upstream_socket.hpp"
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
    served_ = std::make_shared<connection>(listening.accept(), sockets_, writes, timers_, timeouts_, *this);
    served_->start();
  }
  ~connection_stage() { end(); }

  void end() {
    if (served_) std::exchange(served_, nullptr)->close();
  }
  std::size_t socket_count() const { return sockets_.socket_count(); }

  /// Sends a request and waits until it is there.
  void ask() {
    asked_ = false;
    boost::asio::write(client_, boost::asio::buffer(std::string_view{"GET / HTTP/1.1\r\nhost: x\r\n\r\n"}));
    for (int round = 0; round < 100 && !asked_; ++round) {
      sockets_.run_round(100);
      writes.run();
    }
    REQUIRE(asked_);
  }
  void answer() {
    served_->start_answer({200, {}}, body_framing::content_length, 5, false);
    served_->write("hello");
    served_->end_answer();
  }
  /// What has come to the client by now.
  std::string received() {
    std::array<char, 4096> bytes{};
    boost::system::error_code ec;
    const auto size = client_.read_some(boost::asio::buffer(bytes), ec);
    return {bytes.data(), size};
  }

  turn writes;

 private:
  void on_request(const std::shared_ptr<connection>&) override { asked_ = true; }
  void on_closed(const std::shared_ptr<connection>&) override {}

  const connection_timeouts timeouts_{std::chrono::seconds{5}, std::chrono::seconds{5},
                                      std::chrono::seconds{5}, std::chrono::seconds{5}};
  boost::asio::io_context io_;
  reactor sockets_{io_};
  deadlines timers_{io_};
  tcp::socket client_{io_};
  std::shared_ptr<connection> served_;
  bool asked_ = false;
};

}  // namespace

TEST_CASE("connection: a lone answer leaves when it is whole, one of many at the turn's end",
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

TEST_CASE("reactor: it counts the sockets of clients and upstreams until they are closed",
          "[unit][connection]") {
  connection_stage stage;
  CHECK(stage.socket_count() == 1);
  stage.end();
  stage.writes.run();
  CHECK(stage.socket_count() == 0);

  boost::asio::io_context io;
  reactor sockets{io};
  auto upstream = std::make_shared<upstream_socket>(io, sockets, nullptr);
  CHECK(sockets.socket_count() == 1);
  upstream->close();
  CHECK(sockets.socket_count() == 0);
  upstream.reset();
  CHECK(sockets.socket_count() == 0);
}

}  // namespace llm_proxy
