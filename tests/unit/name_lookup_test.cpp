#include "http/loop/name_lookup.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

TEST_CASE("name look-up: localhost is this machine where no resolver knows it", "[unit][name_lookup]") {
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

}  // namespace llm_proxy
