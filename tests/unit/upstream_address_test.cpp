#include "http/upstream/upstream_address.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

TEST_CASE("upstream address: scheme, host, port and prefix are read", "[unit][upstream_address]") {
  const auto plain = parse_upstream_address("http://localhost:4000");
  REQUIRE(plain);
  CHECK_FALSE(plain->tls);
  CHECK(plain->host == "localhost");
  CHECK(plain->port == "4000");
  CHECK(plain->host_header == "localhost:4000");
  CHECK(plain->prefix.empty());
  const auto tls = parse_upstream_address("HTTPS://llm.example.com/team/a//");
  REQUIRE(tls);
  CHECK(tls->tls);
  CHECK(tls->port == "443");
  CHECK(tls->host_header == "llm.example.com");
  CHECK(tls->prefix == "/team/a");
}

TEST_CASE("upstream address: an IPv6 address loses its brackets, except in the Host header",
          "[unit][upstream_address]") {
  const auto address = parse_upstream_address("http://[::1]:80/");
  REQUIRE(address);
  CHECK(address->host == "::1");
  CHECK(address->port == "80");
  CHECK(address->host_header == "[::1]");
  CHECK(address->prefix.empty());
}

TEST_CASE("upstream address: anything else is refused", "[unit][upstream_address]") {
  for (const auto* url :
       {"", "localhost:4000", "ftp://x", "http://", "http:///x", "http://u:p@x", "http://x?y", "http://x#y",
        "http://x y", "//x", "http://x:port", "http://x:0", "http://x:99999", "http://[::1"}) {
    INFO(url);
    CHECK_FALSE(parse_upstream_address(url));
  }
}

}  // namespace llm_proxy
