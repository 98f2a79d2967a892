#include "http/downstream/listener.hpp"

#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace llm_proxy {

namespace {

constexpr pid_t own = 4711;

std::string complaint_about(const char* pid, const char* fds) {
  try {
    (void)inherited_descriptor(pid, fds, own);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

std::string complaint_about(int descriptor) {
  boost::asio::io_context io;
  try {
    (void)adopt_listener(io, descriptor);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("listener: LISTEN_FDS hands over descriptor 3, to the process of LISTEN_PID alone",
          "[unit][listener]") {
  CHECK(inherited_descriptor("4711", "1", own) == 3);
  CHECK(inherited_descriptor(nullptr, nullptr, own) == std::nullopt);
  CHECK(inherited_descriptor("4711", nullptr, own) == std::nullopt);
  CHECK(inherited_descriptor("4712", "1", own) == std::nullopt);
  CHECK(inherited_descriptor("4711", "0", own) == std::nullopt);
}

TEST_CASE("listener: LISTEN_FDS that makes no sense is refused by its name", "[unit][listener]") {
  for (const auto* fds : {"", "x", "1x", " 1", "-1", "99999999999999999999"}) {
    INFO(fds);
    CHECK(holds(complaint_about("4711", fds), "LISTEN_FDS"));
  }
  CHECK(holds(complaint_about("4711", "2"), "LISTEN_FDS"));
  CHECK(holds(complaint_about("me", "1"), "LISTEN_PID"));
  CHECK(holds(complaint_about(nullptr, "1"), "LISTEN_PID"));
}

TEST_CASE("listener: a descriptor handed over must be a listening TCP socket", "[unit][listener]") {
  boost::asio::io_context io;
  CHECK(holds(complaint_about(987), "no socket"));
  const int local = ::socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(holds(complaint_about(local), "no TCP socket"));
  const int datagrams = ::socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(holds(complaint_about(datagrams), "no TCP socket"));
  const int deaf = ::socket(AF_INET, SOCK_STREAM, 0);
  CHECK(holds(complaint_about(deaf), "does not listen"));
  for (const int each : {local, datagrams, deaf}) ::close(each);
  auto good = open_listener(io, "::1", 0);
  const auto where = good.local_endpoint();
  CHECK(adopt_listener(io, good.release()).local_endpoint() == where);
}

TEST_CASE("listener: a port in use names the option that sets another", "[unit][listener]") {
  boost::asio::io_context io;
  const auto first = open_listener(io, "127.0.0.1", 0);
  const auto port = first.local_endpoint().port();
  CHECK_THROWS_WITH(open_listener(io, "127.0.0.1", port),
                    Catch::Matchers::EndsWith("(LLM_PROXY__PORT sets another)"));
  CHECK_THROWS_WITH(open_listener(io, "127.0.0.1", port, "LLM_PROXY__ADMIN_PORT"),
                    Catch::Matchers::EndsWith("(LLM_PROXY__ADMIN_PORT sets another)"));
}

TEST_CASE("listener: after refuse_newcomers() it still accepts the connections that were already made",
          "[unit][listener]") {
  using boost::asio::ip::tcp;
  boost::asio::io_context io;
  auto listener = open_listener(io, "127.0.0.1", 0);
  tcp::socket early{io};
  early.connect(listener.local_endpoint());
  refuse_newcomers(listener.native_handle());
  const int late = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const auto where = listener.local_endpoint();
  CHECK(::connect(late, where.data(), static_cast<socklen_t>(where.size())) == -1);
  pollfd connecting{late, POLLOUT, 0};
  // The client is neither connected nor refused, so its system tries again by itself.
  CHECK(::poll(&connecting, 1, 100) == 0);
  ::close(late);
  auto taken = listener.accept();
  // The accepted socket inherited the filter, but bytes pass both ways.
  boost::asio::write(early, boost::asio::buffer("ask", 3));
  std::string got(3, ' ');
  boost::asio::read(taken, boost::asio::buffer(got));
  CHECK(got == "ask");
  boost::asio::write(taken, boost::asio::buffer("say", 3));
  boost::asio::read(early, boost::asio::buffer(got));
  CHECK(got == "say");
}

}  // namespace llm_proxy
