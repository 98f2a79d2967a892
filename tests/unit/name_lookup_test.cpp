#include "http/loop/name_lookup.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <string>

namespace llm_proxy {

TEST_CASE("name look-up: localhost is this machine, and no resolver is asked", "[unit][name_lookup]") {
  for (const std::string name : {"localhost", "LocalHost", "litellm.localhost", "a.b.localhost"}) {
    INFO(name);
    const auto found = localhost_addresses(name, "4000");
    REQUIRE(found.size() == 2);
    for (const auto& each : found) {
      CHECK(each.endpoint().address().is_loopback());
      CHECK(each.endpoint().port() == 4000);
    }
  }
  for (const std::string name : {"", "localhos", "notlocalhost", "localhost.example", "localhost."}) {
    INFO(name);
    CHECK(localhost_addresses(name, "4000").empty());
  }
  for (const std::string port : {"", "http", "65536", "-1", "1x"}) {
    INFO(port);
    CHECK(localhost_addresses("localhost", port).empty());
  }
}

TEST_CASE("name look-up: localhost is found at once, on the thread that asked", "[unit][name_lookup]") {
  reactor sockets;
  std::size_t addresses = 0;
  // No resolver knows a name such as this one.
  look_up_name("no-such-host.localhost", "4000", sockets.inbox(),
               [&](const boost::system::error_code& ec, const name_lookup_result& found) {
                 CHECK_FALSE(ec);
                 addresses = found.size();
               });
  CHECK(addresses == 0);  // the callback never runs within the call
  sockets.run_round(0);
  CHECK(addresses == 2);
}

}  // namespace llm_proxy
