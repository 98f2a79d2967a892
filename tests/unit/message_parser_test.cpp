#include "http/wire/message_parser.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

/// A request read to its end, fed in portions of `portion` bytes.
struct read_request {
  request_head head;
  std::string body;
  failure fault{.code = errc::none};
  bool head_done = false;
  bool done = false;
  std::string left;

  read_request(std::string_view bytes, std::size_t portion) {
    request_parser parser;
    while (!bytes.empty() && fault.code == errc::none && !done) {
      left += bytes.substr(0, portion);
      bytes.remove_prefix(std::min(portion, bytes.size()));
      if (!head_done) {
        const auto used = parser.read_head(left, fault);
        if (used == 0) continue;
        left.erase(0, used);
        head = parser.take_head();
        head_done = true;
      }
      left.erase(0, parser.read_body(left, body, fault));
      done = parser.done();
    }
    left += bytes;
  }
};

const std::string chunked_post = "POST /x?y HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";

struct read_response {
  response_head head;
  std::string body;
  failure fault{.code = errc::none};
  bool done = false;
  bool keep_alive = false;
  std::string left;

  read_response(std::string_view bytes, std::size_t portion, bool to_head = false, bool ends = false) {
    response_parser parser{to_head};
    std::optional<response_head> got;
    while (!bytes.empty() && fault.code == errc::none && !parser.done()) {
      left += bytes.substr(0, portion);
      bytes.remove_prefix(std::min(portion, bytes.size()));
      left.erase(0, parser.read(left, got, body, fault));
    }
    left += bytes;
    if (ends && fault.code == errc::none) parser.read_end(fault);
    done = parser.done();
    if (got) {
      keep_alive = parser.keep_alive();
      head = std::move(*got);
    }
  }
};

}  // namespace

TEST_CASE("request parser: it reads the same at every split", "[unit][message_parser]") {
  const std::string bytes =
      "\r\n" + chunked_post + "5;a=b\r\nhello\r\n1\r\n \r\n00A\r\nbeautiful!\r\n0\r\nt: v\r\n\r\nnext";
  for (std::size_t portion = 1; portion <= bytes.size(); ++portion) {
    const read_request request{bytes, portion};
    INFO(portion);
    REQUIRE(request.done);
    CHECK(request.head.method == "POST");
    CHECK(request.head.target == "/x?y");
    CHECK(request.head.path() == "/x");
    CHECK(request.head.chunked);
    CHECK(request.head.headers.size() == 2);  // a trailer is not added to the headers
    CHECK(request.body == "hello beautiful!");
    CHECK(request.left == "next");
  }
}

TEST_CASE("request parser: a length says where the body ends", "[unit][message_parser]") {
  for (std::size_t portion : {1U, 7U, 1000U}) {
    const read_request request{"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhelloGET", portion};
    CHECK(request.done);
    CHECK(request.head.content_length == 5U);
    CHECK(request.body == "hello");
    CHECK(request.left == "GET");
  }
  const read_request none{"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET", 1000};
  CHECK(none.done);
  CHECK(none.left == "GET");
  CHECK_FALSE(none.head.has_body());
}

TEST_CASE("request parser: an absolute target is cut to its path", "[unit][message_parser]") {
  const auto target = [](const std::string& sent) {
    return read_request{"GET " + sent + " HTTP/1.1\r\nhost: x\r\n\r\n", 1000}.head.target;
  };
  CHECK(target("http://x/a?b") == "/a?b");
  CHECK(target("http://x") == "/");
  CHECK(target("http://x?b") == "/?b");
  CHECK(target("/a?u=http://x/y") == "/a?u=http://x/y");
}

TEST_CASE("request parser: a head says whether the connection is kept and whether the client waits for 100",
          "[unit][message_parser]") {
  const auto head = [](const std::string& version, const std::string& fields) {
    return read_request{"GET / " + version + "\r\nhost: x\r\n" + fields + "\r\n", 1000}.head;
  };
  CHECK(head("HTTP/1.1", "").keep_alive);
  CHECK_FALSE(head("HTTP/1.1", "Connection: a, CLOSE\r\n").keep_alive);
  CHECK_FALSE(head("HTTP/1.0", "").keep_alive);
  CHECK(head("HTTP/1.0", "connection: Keep-Alive\r\n").keep_alive);
  CHECK(head("HTTP/1.1", "expect: 100-Continue\r\n").expects_continue);
  CHECK_FALSE(head("HTTP/1.0", "expect: 100-continue\r\n").expects_continue);
  CHECK_FALSE(head("HTTP/1.1", "expect: x\r\n").expects_continue);
}

TEST_CASE("request parser: broken or endless chunk framing is a fault", "[unit][message_parser]") {
  for (const std::string& framing :
       std::vector<std::string>{"g\r\n", "\r\n", "-1\r\n", "0x1\r\na\r\n", "1\na\r\n", "1\r\nab\r\n",
                                "1\r\na\n0\r\n\r\n", "ffffffffffffffffff\r\n", "0\r\nbad\r\n\r\n",
                                "1;" + std::string(40'000, 'a'), "0\r\nx: " + std::string(40'000, 'a')}) {
    for (std::size_t portion : {1U, 1024U, 100'000U}) {
      INFO(framing.substr(0, 20) << " by " << portion);
      CHECK(read_request(chunked_post + framing, portion).fault.code == errc::bad_request);
    }
  }
}

TEST_CASE("response parser: it reads the same at every split, 1xx skipped", "[unit][message_parser]") {
  const std::string bytes =
      "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\ntransfer-encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\n\r\nnext";
  for (std::size_t portion = 1; portion <= bytes.size(); ++portion) {
    const read_response answer{bytes, portion};
    INFO(portion);
    REQUIRE(answer.done);
    CHECK(answer.head.status == 429);
    CHECK(answer.head.headers.find("retry-after") == "1");
    CHECK_FALSE(answer.head.headers.find("link"));
    CHECK(answer.body == "hello");
    CHECK(answer.keep_alive);
    CHECK(answer.left == "next");
  }
}

TEST_CASE("response parser: a closed connection is a disconnect, but it completes an answer without a length",
          "[unit][message_parser]") {
  const auto at_end = [](std::string_view bytes) { return read_response(bytes, 3, false, true).fault.code; };
  CHECK(at_end("") == errc::upstream_disconnected);
  CHECK(at_end("HTTP/1.1 200 OK\r\nconte") == errc::upstream_disconnected);
  CHECK(at_end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell") == errc::upstream_disconnected);
  CHECK(at_end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n") ==
        errc::upstream_disconnected);
  CHECK(at_end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello") == errc::none);
  const read_response until_close{"HTTP/1.1 200 OK\r\n\r\nhello", 3, false, true};
  CHECK(until_close.fault.code == errc::none);
  CHECK(until_close.done);
  CHECK(until_close.body == "hello");
  CHECK_FALSE(until_close.keep_alive);
}

TEST_CASE("response parser: an answer that breaks off says how far it came", "[unit][message_parser]") {
  const auto told = [](std::string_view bytes) { return read_response(bytes, 3, false, true).fault; };
  for (const auto& [bytes, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "The model gateway closed the connection without an answer."},
           {"HT", "The model gateway closed the connection within the head of its answer."},
           {"HTTP/1.1 2", "The model gateway closed the connection within the head of its answer."},
           {"HTTP/1.1 200 OK\r\nconte",
            "The model gateway closed the connection within the head of its answer."},
           {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1",
            "The model gateway closed the connection within the head of its answer."},
           {"HTTP/1.1 200 OK\r\ncontent-length: 5678\r\n\r\n",
            "The model gateway ended its answer before it was whole (0 of 5,678 bytes)."},
           {"HTTP/1.1 200 OK\r\ncontent-length: 1234567\r\n\r\n" + std::string(1234, 'a'),
            "The model gateway ended its answer before it was whole (1,234 of 1,234,567 bytes)."},
           {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\nwo",
            "The model gateway ended its answer before it was whole (after 7 bytes)."}}) {
    INFO(bytes.substr(0, 80));
    const auto fault = told(bytes);
    CHECK(fault.code == errc::upstream_disconnected);
    CHECK(fault.message == message);
  }
}

TEST_CASE("response parser: an answer that can no longer become HTTP is refused before its end",
          "[unit][message_parser]") {
  for (const std::string bytes : {"2", "220 mail", "SSH-2.0-x", "HTTQ", "http/1.1 200 OK", "\x15\x03\x01"}) {
    INFO(bytes);
    const auto fault = read_response(bytes, 1).fault;
    CHECK(fault.code == errc::upstream_invalid_response);
    CHECK(fault.message == "The model gateway's answer is not valid HTTP.");
  }
  for (const std::string bytes : {"H", "HTTP", "HTTP/1.1"}) {
    CHECK(read_response(bytes, 1).fault.code == errc::none);
  }
}

TEST_CASE("response parser: bytes that are not HTTP are an invalid response", "[unit][message_parser]") {
  for (const std::string& bytes : std::vector<std::string>{
           "nonsense\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
           "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\nx: " + std::string(100'000, 'a'),
           "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"}) {
    INFO(bytes.substr(0, 60));
    CHECK(read_response(bytes, 1000).fault.code == errc::upstream_invalid_response);
  }
}

TEST_CASE("response parser: the answer to HEAD has no body", "[unit][message_parser]") {
  const read_response answer{"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP", 1000, true};
  CHECK(answer.done);
  CHECK(answer.left == "HTTP");
}

}  // namespace llm_proxy
