#include "http/system/local_shortage.hpp"

#include "http/loop/name_lookup.hpp"
#include "http/system/descriptor_limit.hpp"
#include "http/upstream/upstream_call.hpp"
#include "support/call_outcome.hpp"
#include "support/catch.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <new>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace llm_proxy {

namespace {

using test::call_outcome;

namespace asio = boost::asio;

boost::system::error_code of_system(int number) {
  return {number, boost::system::system_category()};
}

/// While one exists, no file descriptor is left.
class no_descriptors {
 public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    const rlimit tight{static_cast<rlim_t>(next), before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("local shortage: a shortage of this machine is distinguished from a fault of an upstream",
          "[unit][local_shortage]") {
  for (const int number : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EADDRNOTAVAIL, ENOSPC, EAGAIN}) {
    INFO(std::strerror(number));
    CHECK(is_local_shortage(of_system(number)));
  }
  for (const int number :
       {ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, EPIPE, EACCES, EPERM}) {
    INFO(std::strerror(number));
    CHECK_FALSE(is_local_shortage(of_system(number)));
  }
  CHECK_FALSE(is_local_shortage({}));
  CHECK_FALSE(is_local_shortage(asio::error::host_not_found));
  CHECK_FALSE(is_local_shortage(asio::error::host_not_found_try_again));
  CHECK_FALSE(is_local_shortage(asio::error::eof));
  CHECK(is_local_shortage(asio::error::no_memory));
}

TEST_CASE("local shortage: an exception is turned into the error it stands for", "[unit][local_shortage]") {
  const auto told = [](auto error) { return error_of(std::make_exception_ptr(error)); };
  CHECK(told(std::system_error{EMFILE, std::generic_category()}) == of_system(EMFILE));
  CHECK(told(boost::system::system_error{of_system(ENFILE)}) == of_system(ENFILE));
  CHECK(is_local_shortage(told(std::bad_alloc{})));
  CHECK_FALSE(is_local_shortage(told(std::runtime_error{"no"})));
  CHECK(told(std::runtime_error{"no"}).failed());
}

TEST_CASE("local shortage: an address of a family that this machine lacks is unreachable, not a shortage",
          "[unit][local_shortage]") {
  const asio::ip::tcp::endpoint here{asio::ip::address_v4::loopback(), 9};
  CHECK(connect_error(of_system(EADDRNOTAVAIL), here) == of_system(EADDRNOTAVAIL));
  CHECK(connect_error(of_system(ECONNREFUSED), here) == of_system(ECONNREFUSED));
  // 240.0.0.0/4 is reserved for future use (RFC 1112 §4), so no machine has such an address.
  const asio::ip::tcp::endpoint nowhere{asio::ip::make_address("240.0.0.1"), 9};
  const auto told = connect_error(of_system(EADDRNOTAVAIL), nowhere);
  CHECK((told == asio::error::network_unreachable || told == of_system(EADDRNOTAVAIL)));
}

TEST_CASE("local shortage: a fault is reported as a shortage if no descriptor is left",
          "[unit][local_shortage]") {
  CHECK(or_shortage(asio::error::host_not_found) == asio::error::host_not_found);
  CHECK_FALSE(or_shortage({}).failed());
  const no_descriptors tight;
  CHECK(or_shortage(asio::error::host_not_found) == of_system(EMFILE));
  CHECK_FALSE(or_shortage({}).failed());
}

TEST_CASE("local shortage: a name that cannot be looked up for want of descriptors is not called unknown",
          "[unit][local_shortage]") {
  reactor sockets;
  std::optional<boost::system::error_code> said;
  const no_descriptors tight;
  look_up_name("upstream.invalid", "4000", sockets.inbox(),
               [&](const boost::system::error_code& ec, const name_lookup_result&) { said = ec; });
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (!said && std::chrono::steady_clock::now() < limit) sockets.run_round(10);
  REQUIRE(said);
  CHECK(*said == of_system(EMFILE));
}

TEST_CASE("upstream call: without a descriptor a call fails by out_of_resources, and later ones work again",
          "[unit][upstream_call][local_shortage]") {
  asio::io_context io;
  reactor sockets;
  deadlines timers;
  asio::ip::tcp::acceptor listening{io, {asio::ip::address_v4::loopback(), 0}};
  const auto port = std::to_string(listening.local_endpoint().port());
  // Looking up a new name starts a thread with an event loop, which needs descriptors too.
  for (const auto* host : {"127.0.0.1", "localhost", "ip6-localhost", "no-such-name.invalid"}) {
    INFO(host);
    upstream_connection_options options;
    options.address = {false, host, port, "x", ""};
    upstream_connections calls{sockets, timers, options};
    const auto head = std::make_shared<const std::string>("POST / HTTP/1.1\r\nhost: x\r\n\r\n");
    const auto fault_of = [&](std::chrono::seconds most) {
      call_outcome said;
      upstream_call call{calls, head, nullptr, 100, said};
      call.start();
      CHECK_FALSE(said.fault);  // a fault is never reported before start() has returned
      const auto limit = steady_clock::now() + most;
      while (!said.fault && steady_clock::now() < limit) sockets.run_round(5);
      UNSCOPED_INFO((said.fault ? said.fault->detail : "no fault"));
      return said.fault ? said.fault->code : errc::none;
    };
    {
      const no_descriptors tight;
      for (int i = 0; i < 2; ++i) CHECK(fault_of(std::chrono::seconds{20}) == errc::out_of_resources);
    }
    const std::string name{host};
    if (name == "127.0.0.1" || name == "localhost")
      CHECK(fault_of(std::chrono::seconds{2}) == errc::none);  // it waits for an answer, which never comes
  }
}

TEST_CASE("descriptor limit: half of what is left is for clients, and never less than one",
          "[unit][local_shortage]") {
  CHECK(connections_within(1024, 2) == 480);
  CHECK(connections_within(1024, 64) == (1024 - 16 - 8 * 64) / 2);
  CHECK(connections_within(65, 1) == 1);
  CHECK(connections_within(64, 1) == 1);
  CHECK(connections_within(0, 1) == 1);
  CHECK(connections_within(RLIM_INFINITY, 2) > 1'000'000'000);
}

}  // namespace llm_proxy
