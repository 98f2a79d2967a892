#include "http/head_check.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

errc judged(std::string_view head) {
  return check_request_head(head).code;
}

const std::string get = "GET / HTTP/1.1\r\n";
const std::string host = "host: x\r\n";

}  // namespace

TEST_CASE("head check: a plain head is fine, whatever its fields are called", "[unit][head_check]") {
  CHECK(judged(get + host + "\r\n") == errc::none);
  CHECK(judged(get + host + "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n") == errc::none);
  CHECK(judged("OPTIONS * HTTP/1.1\r\n" + host + "\r\n") == errc::none);
  CHECK(judged("CONNECT x:443 HTTP/1.1\r\n" + host + "\r\n") == errc::none);
  CHECK(judged("GET / HTTP/1.0\r\n\r\n") == errc::none);
  CHECK(judged(get + host + "transfer-encoding: Chunked\r\n\r\n") == errc::none);
  CHECK(judged(get + host + "content-length: 000000000000000005\r\n\r\n") == errc::none);
}

TEST_CASE("head check: any control byte but the tab makes it bad", "[unit][head_check]") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    const bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    INFO(byte);
    CHECK(judged(get + host + "a: x" + one + "y\r\n\r\n") == (control ? errc::bad_request : errc::none));
    const bool in_target = byte > 0x20 && byte != 0x7f && byte != '#';
    CHECK(judged("GET /x" + one + "y HTTP/1.1\r\n" + host + "\r\n") ==
          (in_target ? errc::none : errc::bad_request));
  }
}

TEST_CASE("head check: a control byte is found at every place of a head", "[unit][head_check]") {
  const std::string good = get + host + "name-of-a-field: a value of more than sixteen bytes\r\n\r\n";
  REQUIRE(judged(good) == errc::none);
  for (std::size_t place = 0; place + 1 < good.size(); ++place) {
    for (const char control : {'\0', '\x1f', '\x7f', '\r', '\n'}) {
      auto bad = good;
      bad.insert(place, 1, control);
      CAPTURE(place, static_cast<int>(control));
      CHECK(judged(bad) == errc::bad_request);
    }
  }
}

TEST_CASE("head check: what is unreadable is told before what is unwelcome", "[unit][head_check]") {
  CHECK(judged("FETCH / HTTP/1.1\r\n" + host + "\r\n") == errc::method_not_implemented);
  CHECK(judged("FETCH / HTTP/1.1\r\n\r\n") == errc::bad_request);
  CHECK(judged("FETCH / HTTP/1.1\r\n" + host + "a : b\r\n\r\n") == errc::bad_request);
  CHECK(judged("GET / HTTP/3.0\r\n" + host + "a : b\r\n\r\n") == errc::bad_request);
  CHECK(judged("GET / HTTP/3.0\r\n\r\n") == errc::version_not_supported);
}

TEST_CASE("head check: lines of 8 KiB and heads of 32 KiB are the limit", "[unit][head_check]") {
  const std::string around = "GET / HTTP/1.1";
  const auto line = [&](std::size_t size) {
    return "GET /" + std::string(size - around.size(), 'a') + " HTTP/1.1\r\n" + host + "\r\n";
  };
  CHECK(judged(line(max_request_line)) == errc::none);
  CHECK(judged(line(max_request_line + 1)) == errc::uri_too_long);
  const auto head = [&](std::size_t size) {
    const auto rest = get + host + "a: \r\n\r\n";
    return get + host + "a: " + std::string(size - rest.size(), 'a') + "\r\n\r\n";
  };
  CHECK(judged(head(max_request_head)) == errc::none);
  CHECK(judged(head(max_request_head + 1)) == errc::head_too_large);
}

TEST_CASE("head check: a head without end is refused as soon as it is hopeless", "[unit][head_check]") {
  CHECK(check_partial_head("GET / HT", 0).code == errc::none);
  CHECK(check_partial_head("GET / HTTP/1.1\r\nhost: x\r", 0).code == errc::none);
  CHECK(check_partial_head("GET / HTTP/1.1\n", 0).code == errc::bad_request);
  CHECK(check_partial_head("GET / HTTP/1.1\r\nhost: x\n", 14).code == errc::bad_request);
  CHECK(check_partial_head("\n", 0).code == errc::bad_request);
  CHECK(check_partial_head(std::string(max_request_line, 'a'), 0).code == errc::none);
  CHECK(check_partial_head(std::string(max_request_line + 1, 'a'), 0).code == errc::uri_too_long);
  CHECK(check_partial_head(get + std::string(max_request_head, 'a'), 0).code == errc::head_too_large);
}

TEST_CASE("head check: a host is a name or address, with a port or without", "[unit][head_check]") {
  for (const auto* good : {"x", "example.com", "127.0.0.1:80", "x:", "[::1]", "[::1]:8002",
                           "[::ffff:1.2.3.4]", "a_b-c.~d", "x:65535"}) {
    INFO(good);
    CHECK(is_valid_host(good));
  }
  for (const auto* bad : {"", ":80", "a b", "a\tb", "x:y", "x:80:80", "x:123456", "[]", "[:]x", "[::1",
                          "::1]", "[::1]80", "u@x", "x/y", "x?y", "x#y", "\xc3\xa4", "x\\y"}) {
    INFO(bad);
    CHECK_FALSE(is_valid_host(bad));
  }
  CHECK_FALSE(is_valid_host(std::string(300, 'a')));
}

TEST_CASE("head check: an absolute target has a host and nobody's name", "[unit][head_check]") {
  const auto target = [](const std::string& text) {
    return judged("GET " + text + " HTTP/1.1\r\nhost: x\r\n\r\n");
  };
  CHECK(target("http://x") == errc::none);
  CHECK(target("HTTPS://x:1/y?z") == errc::none);
  CHECK(target("http://x?z") == errc::none);
  CHECK(target("http:///y") == errc::bad_request);
  CHECK(target("http://") == errc::bad_request);
  CHECK(target("http://u@x/y") == errc::bad_request);
  CHECK(target("http:/y") == errc::bad_request);
}

}  // namespace llm_proxy
