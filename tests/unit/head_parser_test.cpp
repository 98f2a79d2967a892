#include "http/wire/head_parser.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

errc judged(std::string_view head) {
  request_head read;
  return parse_request_head(head, read).code;
}

/// A response head, and what the parser made of it.
struct read_head {
  response_head head;
  message_framing framing;
  failure fault;

  explicit read_head(const std::string& fields, const std::string& line = "HTTP/1.1 200 OK")
      : fault{parse_response_head(line + "\r\n" + fields + "\r\n", head, framing)} {}
  bool good() const { return fault.code == errc::none; }
};

const std::string get = "GET / HTTP/1.1\r\n";
const std::string host = "host: x\r\n";

}  // namespace

TEST_CASE("head parser: a plain head is fine, whatever its fields are called", "[unit][head_parser]") {
  CHECK(judged(get + host + "\r\n") == errc::none);
  CHECK(judged(get + host + "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n") == errc::none);
  CHECK(judged("OPTIONS * HTTP/1.1\r\n" + host + "\r\n") == errc::none);
  CHECK(judged("CONNECT x:443 HTTP/1.1\r\n" + host + "\r\n") == errc::none);
  CHECK(judged("GET / HTTP/1.0\r\n\r\n") == errc::none);
  CHECK(judged(get + host + "transfer-encoding: Chunked\r\n\r\n") == errc::none);
  CHECK(judged(get + host + "content-length: 000000000000000005\r\n\r\n") == errc::none);
}

TEST_CASE("head parser: any control byte except the tab makes a head bad", "[unit][head_parser]") {
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

TEST_CASE("head parser: a control byte is found at every place of a head of any size",
          "[unit][head_parser]") {
  for (std::size_t size = 0; size < 70; ++size) {
    const auto good = get + host + "a:" + std::string(size, 'x') + "\r\n\r\n";
    REQUIRE(judged(good) == errc::none);
    for (std::size_t place = 0; place + 1 < good.size(); ++place) {
      for (const char control : {'\0', '\x1f', '\x7f', '\r', '\n'}) {
        auto bad = good;
        bad.insert(place, 1, control);
        if (judged(bad) == errc::bad_request) continue;
        CAPTURE(size, place, static_cast<int>(control));
        FAIL_CHECK("taken for a good one");
      }
    }
  }
}

TEST_CASE("head parser: the first fault is the one that is reported", "[unit][head_parser]") {
  CHECK(judged("FETCH / HTTP/1.1\r\n" + host + "\r\n") == errc::method_not_implemented);
  CHECK(judged("FETCH / HTTP/1.1\r\n\r\n") == errc::method_not_implemented);
  CHECK(judged("FETCH / HTTP/1.1\r\n" + host + "a : b\r\n\r\n") == errc::method_not_implemented);
  CHECK(judged("FETCH x HTTP/3.0\r\n" + host + "\r\n") == errc::bad_request);
  CHECK(judged("GET / HTTP/3.0\r\n" + host + "a : b\r\n\r\n") == errc::version_not_supported);
  CHECK(judged("GET / HTTP/1.1\r\na : b\r\n\r\n") == errc::bad_request);
}

TEST_CASE("head parser: fields keep their order and spelling, values lose the blanks around them",
          "[unit][head_parser]") {
  request_head head;
  REQUIRE(
      parse_request_head("POST /a?b HTTP/1.1\r\nHost:x\r\nA:\r\nb: \t c  d\t \r\nA: \xc3\xa4:\r\n\r\n", head)
          .code == errc::none);
  CHECK(head.method == "POST");
  CHECK(head.target == "/a?b");
  std::vector<std::string> fields;
  for (const auto field : head.headers) {
    fields.push_back(std::string{field.name} + "=" + std::string{field.value});
  }
  CHECK(fields == std::vector<std::string>{"Host=x", "A=", "b=c  d", "A=\xc3\xa4:"});
}

TEST_CASE("head parser: a request has one length or one coding", "[unit][head_parser]") {
  const auto with = [](const std::string& fields) { return judged(get + host + fields + "\r\n"); };
  request_head head;
  REQUIRE(parse_request_head(get + host + "content-length: 007\r\n\r\n", head).code == errc::none);
  CHECK(head.content_length == 7U);
  for (const auto* bad :
       {"content-length: 1\r\ncontent-length: 1\r\n", "content-length: 1, 1\r\n", "content-length: -1\r\n",
        "content-length: 0x1\r\n", "content-length: \r\n", "content-length: 1 1\r\n",
        "content-length: 1000000000000000000\r\n", "transfer-encoding: gzip\r\n",
        "transfer-encoding: gzip, chunked\r\n", "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: \r\n",
        "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
        "content-length: 0\r\ntransfer-encoding: chunked\r\n", "host: y\r\n", "connection: a b\r\n",
        "connection: close;\r\n"}) {
    INFO(bad);
    CHECK(with(bad) == errc::bad_request);
  }
  CHECK(judged("GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n") == errc::bad_request);
}

TEST_CASE("head parser: a response may repeat its length, not change it", "[unit][head_parser]") {
  CHECK(read_head{"content-length: 5\r\n"}.framing.content_length == 5U);
  CHECK(read_head{"content-length: 5, 5\r\nContent-Length: 05\r\n"}.framing.content_length == 5U);
  for (const auto* bad : {"content-length: 5, 6\r\n", "content-length: 5\r\ncontent-length: 6\r\n",
                          "content-length: ,\r\n", "content-length: ,5\r\n", "content-length: 5 5\r\n",
                          "content-length: +5\r\n", "content-length: 5\r\ntransfer-encoding: chunked\r\n",
                          "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                          "transfer-encoding: gzip, chunked\r\n", "transfer-encoding: identity\r\n"}) {
    INFO(bad);
    const read_head answer{bad};
    CHECK(answer.fault.code == errc::upstream_invalid_response);
    CHECK_FALSE(answer.fault.detail.empty());
  }
}

TEST_CASE("head parser: a response's connection lasts as its version and fields say", "[unit][head_parser]") {
  const auto lasts = [](const std::string& fields, const std::string& line) {
    return read_head{fields, line}.framing.keep_alive;
  };
  CHECK(lasts("", "HTTP/1.1 200 OK"));
  CHECK_FALSE(lasts("connection: x , Close\r\n", "HTTP/1.1 200 OK"));
  CHECK_FALSE(lasts("connection: x\r\nconnection: ,close,\r\n", "HTTP/1.1 200 OK"));
  CHECK_FALSE(lasts("", "HTTP/1.0 200 OK"));
  CHECK(lasts("Connection: Keep-Alive\r\n", "HTTP/1.0 200 OK"));
  CHECK_FALSE(lasts("connection: keep-alive\r\ntransfer-encoding: chunked\r\n", "HTTP/1.0 200 OK"));
}

TEST_CASE("head parser: a status line is a version, a status and a reason that may be empty",
          "[unit][head_parser]") {
  CHECK(read_head{"", "HTTP/1.1 429 Too Many Requests"}.head.status == 429);
  CHECK(read_head{"", "HTTP/1.0 200 "}.head.status == 200);
  CHECK(read_head{"", "HTTP/1.1 200 \xc3\xa4"}.good());
  for (const auto* bad : {"HTTP/1.1 200", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK",
                          "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "http/1.1 200 OK", "HTTP/1.1 2x0 OK",
                          "HTTP/1.1\t200 OK", "HTTP/1.1 200 O\x01K", "220 mail ESMTP", "", "ICY 200 OK"}) {
    INFO(bad);
    CHECK_FALSE(read_head{"", bad}.good());
  }
}

TEST_CASE("head parser: a response's folded value is one line, a request's is refused",
          "[unit][head_parser]") {
  const read_head answer{"a: b\r\n\tc\r\n  d\r\ne: f\r\n"};
  REQUIRE(answer.good());
  CHECK(answer.head.headers.size() == 2);
  CHECK(answer.head.headers.find("a") == "b  \tc    d");
  CHECK(answer.head.headers.find("e") == "f");
  CHECK(read_head{"a:\r\n b\r\n"}.head.headers.find("a") == "b");
  CHECK_FALSE(read_head{" a: b\r\n"}.good());
  CHECK_FALSE(read_head{"a: b\r\n\x01\r\n"}.good());
  CHECK_FALSE(read_head{"a: b\r\n \x01\r\n"}.good());
  CHECK(judged(get + host + "a: b\r\n c\r\n\r\n") == errc::bad_request);
}

TEST_CASE("head parser: a line that is not a field makes a response invalid", "[unit][head_parser]") {
  for (const auto* bad : {"a\r\n", "a : b\r\n", ": b\r\n", "a b: c\r\n", "a: b\nc: d\r\n", "a: b\rc\r\n",
                          "\xc3\xa4: b\r\n", "(: b\r\n"}) {
    INFO(bad);
    CHECK_FALSE(read_head{bad}.good());
  }
  CHECK_FALSE(read_head{std::string{"a: \0\r\n", 6}}.good());
}

TEST_CASE("head parser: lines of 8 KiB and heads of 32 KiB are the limit", "[unit][head_parser]") {
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
  CHECK(judged(head(max_head)) == errc::none);
  CHECK(judged(head(max_head + 1)) == errc::head_too_large);
}

TEST_CASE("head parser: a host is a name or address, with a port or without", "[unit][head_parser]") {
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

TEST_CASE("head parser: an absolute target has a host and no user name", "[unit][head_parser]") {
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
