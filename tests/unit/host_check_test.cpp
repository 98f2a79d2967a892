#include "http/request/host_check.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

TEST_CASE("host check: names and addresses of this machine are local, in every spelling and with any port",
          "[unit][host]") {
  for (const auto* local :
       {"localhost", "LOCALHOST", "LocalHost:8002", "localhost:", "localhost.", "localhost.:80",
        "app.localhost", "a.b.LOCALHOST:1", "app.localhost.", "127.0.0.1", "127.0.0.1:8002",
        "127.255.255.254", "127.1.2.3:99999", "[::1]", "[::1]:8002", "[0:0:0:0:0:0:0:1]", "[0000::0001]:1",
        "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]"}) {
    INFO(local);
    CHECK(is_local_authority(local, "127.0.0.1"));
    CHECK(is_local_origin("http://" + std::string{local}, "127.0.0.1"));
    CHECK(is_local_origin("https://" + std::string{local}, "127.0.0.1"));
  }
}

TEST_CASE("host check: everything else is foreign, whatever it looks like", "[unit][host]") {
  for (const auto* foreign : {"",
                              ":8002",
                              ".",
                              "evil.example",
                              "evil.example:8002",
                              "localhost.evil.example",
                              "127.0.0.1.evil.example",
                              "evil-localhost",
                              "evillocalhost",
                              "localhost..",
                              ".localhost",
                              "localhosts",
                              "127.1",
                              "127.0.0.1.",
                              "127.0.1",
                              "0177.0.0.1",
                              "0x7f.0.0.1",
                              "2130706433",
                              "128.0.0.1",
                              "0.0.0.0",
                              "10.0.0.1",
                              "192.168.1.1:80",
                              "::1",
                              "[::]",
                              "[::2]",
                              "[::1",
                              "::1]",
                              "[::1]x",
                              "[::1].evil.example",
                              "[::1%lo]",
                              "[::1%25lo]",
                              "[127.0.0.1]",
                              "[localhost]",
                              "[::ffff:10.0.0.1]",
                              "localhost:80a",
                              "localhost:-1",
                              "localhost:80:80",
                              "localhost, evil.example",
                              "user@localhost",
                              "localhost@evil.example",
                              "localhost:80@evil.example",
                              "evil.example#localhost",
                              "evil.example?localhost",
                              "evil.example/localhost",
                              "localhost/",
                              "local%68ost",
                              " localhost",
                              "localhost "}) {
    INFO(foreign);
    CHECK_FALSE(is_local_authority(foreign, "127.0.0.1"));
    CHECK_FALSE(is_local_origin("http://" + std::string{foreign}, "127.0.0.1"));
  }
  for (const auto* foreign :
       {"", "null", "NULL", "localhost", "//localhost", "://localhost", "http:localhost", "http:/localhost",
        "http://evil.example http://localhost", "file://"}) {
    INFO(foreign);
    CHECK_FALSE(is_local_origin(foreign, "127.0.0.1"));
  }
}

TEST_CASE("host check: the value of HOST is local in its own spelling and any other", "[unit][host]") {
  CHECK(is_local_authority("192.168.1.1:80", "192.168.1.1"));
  CHECK_FALSE(is_local_authority("192.168.1.2", "192.168.1.1"));
  CHECK(is_local_authority("[FE80::1]:80", "fe80::1"));
  CHECK(is_local_authority("[fe80:0:0::1]", "fe80::1"));
  CHECK_FALSE(is_local_authority("fe80::1", "fe80::1"));
  CHECK(is_local_authority("0.0.0.0", "0.0.0.0"));
  CHECK_FALSE(is_local_authority("", ""));
}

TEST_CASE("host check: the header that makes a request foreign is named, wherever it stands",
          "[unit][host]") {
  request_head head;
  CHECK(foreign_origin_of(head, "127.0.0.1").empty());  // HTTP/1.0 needs no Host, and no browser speaks it
  head.headers.add("Host", "localhost:8002");
  CHECK(foreign_origin_of(head, "127.0.0.1").empty());
  head.headers.add("origin", "http://127.0.0.1:8002");
  CHECK(foreign_origin_of(head, "127.0.0.1").empty());
  head.headers.add("ORIGIN", "null");
  CHECK(foreign_origin_of(head, "127.0.0.1") == "Origin null");
  request_head rebound;
  rebound.headers.add("accept", "*/*");
  rebound.headers.add("host", "evil.example:8002");
  CHECK(foreign_origin_of(rebound, "127.0.0.1") == "Host evil.example:8002");
}

}  // namespace llm_proxy
