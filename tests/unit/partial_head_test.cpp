// A request head that comes in pieces: a fault is refused as soon as it is known, and a head that the parser
// of whole heads accepts is never refused.
#include "http/wire/partial_head.hpp"

#include "http/wire/head_parser.hpp"
#include "http/wire/message_parser.hpp"
#include "support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

const std::string get = "GET / HTTP/1.1\r\n";
const std::string host = "host: x\r\n";

/// What becomes of a request whose bytes come in pieces of `piece` bytes, or all at once if `piece` is 0.
struct reading {
  errc code = errc::none;
  bool whole = false;     // the head was read to its end
  std::size_t bytes = 0;  // how many had come when this was decided

  reading(std::string_view text, std::size_t piece) {
    request_parser parser;
    failure fault{.code = errc::none};
    if (piece == 0) piece = text.size();
    while (bytes < text.size() && code == errc::none && !whole) {
      bytes = std::min(text.size(), bytes + piece);
      whole = parser.read_head(text.substr(0, bytes), fault) > 0;
      code = fault.code;
    }
  }
};

/// Checks that a head has the same outcome in pieces of several sizes as at once.
void compare(std::string_view text) {
  const reading at_once{text, 0};
  if (at_once.code == errc::none && !at_once.whole) return;  // the end of the head is missing
  for (const std::size_t piece : {1, 2, 3, 7, 16}) {
    const reading in_pieces{text, piece};
    CAPTURE(text, piece);
    REQUIRE(in_pieces.code == at_once.code);
    REQUIRE(in_pieces.whole == at_once.whole);
  }
}

std::vector<std::string> corpus() {
  std::vector<std::string> all;
  for (const auto& file :
       std::filesystem::directory_iterator{LLM_PROXY_SOURCE_DIR "/tests/fuzz/corpus/request_head"}) {
    std::ifstream in{file.path(), std::ios::binary};
    const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    if (bytes.size() > 1) all.push_back(bytes.substr(1));  // the first byte only chooses the fuzzer's split
  }
  return all;
}

const std::vector<std::string> valid_heads{
    get + host + "\r\n",
    "\r\n\r\n" + get + host + "\r\n",
    "GET /a?b=c HTTP/1.0\r\n\r\n",
    "GET http://x/a HTTP/1.1\r\n" + host + "\r\n",
    "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
    "CONNECT x:1 HTTP/1.1\r\n" + host + "\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 10\r\n" + host + "connection: close, x\r\n\r\n",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHOST:x\r\nExpect: 100-continue\r\na: \t \r\n\r\n",
};

}  // namespace

TEST_CASE("partial head: a wrong line is refused when it is complete, and not before",
          "[unit][partial_head]") {
  const std::string post = "POST / HTTP/1.1\r\n" + host;
  for (const auto& [bytes, code] : std::vector<std::pair<std::string, errc>>{
           {"GET /health\r\n", errc::bad_request},  // HTTP/0.9
           {"GET\r\n", errc::bad_request},
           {"GET / HTTP/1.1 \r\n", errc::bad_request},
           {"GET / HTTP/11\r\n", errc::bad_request},
           {"GET x HTTP/1.1\r\n", errc::bad_request},
           {"GET /#a HTTP/1.1\r\n", errc::bad_request},
           {"GET / HTTP/2.0\r\n", errc::version_not_supported},
           {"GET / HTTP/0.9\r\n", errc::version_not_supported},
           {"FETCH / HTTP/1.1\r\n", errc::method_not_implemented},
           {get + "no colon\r\n", errc::bad_request},
           {get + " folded: x\r\n", errc::bad_request},
           {get + host + "a : b\r\n", errc::bad_request},
           {get + host + host, errc::bad_request},
           {get + "host: a b\r\n", errc::bad_request},
           {post + "content-length: x\r\n", errc::bad_request},
           {post + "content-length: 1\r\ncontent-length: 1\r\n", errc::bad_request},
           {post + "transfer-encoding: gzip\r\n", errc::bad_request},
           {post + "transfer-encoding: chunked\r\ncontent-length: 1\r\n", errc::bad_request},
           {post + "content-length: 1\r\ntransfer-encoding: chunked\r\n", errc::bad_request},
           {"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n", errc::bad_request},
           {post + "connection: a b\r\n", errc::bad_request},
       }) {
    for (const std::size_t piece : {0, 1, 5}) {
      CAPTURE(bytes, piece);
      const reading read{bytes, piece};
      CHECK(read.code == code);
      CHECK(read.bytes == bytes.size());
    }
  }
}

TEST_CASE("partial head: a byte that no line may hold is refused at once", "[unit][partial_head]") {
  for (const auto& bytes : std::vector<std::string>{
           "\x16",  // a TLS handshake
           std::string(1, '\0'),
           "\n",
           " ",
           "G(",
           "GET /\x01",
           "GET / HTTP/1.1\n",
           get + "a: \x7f",
           get + "host: x\n",
           get + "a: b\rc",
       }) {
    CAPTURE(bytes);
    const reading read{bytes + "and more", 1};
    CHECK(read.code == errc::bad_request);
    CHECK(read.bytes == bytes.size());
  }
}

TEST_CASE("partial head: the beginning of a head that may still become valid is waited for",
          "[unit][partial_head]") {
  for (const auto& head : valid_heads) {
    CAPTURE(head);
    for (std::size_t size = 1; size < head.size(); ++size) {
      const reading read{std::string_view{head}.substr(0, size), 1};
      REQUIRE(read.code == errc::none);
      REQUIRE_FALSE(read.whole);
    }
    CHECK(reading{head, 1}.whole);
  }
}

TEST_CASE("partial head: a limit is reported as soon as it is exceeded", "[unit][partial_head]") {
  const auto check = [](const std::string& bytes) { return partial_head{}.check(bytes).code; };
  CHECK(check(std::string(max_request_line, 'a')) == errc::none);
  CHECK(check(std::string(max_request_line + 1, 'a')) == errc::uri_too_long);
  CHECK(check("GET /" + std::string(max_request_line, 'a') + " HTTP/1.1\r\n") == errc::uri_too_long);
  CHECK(check(get + "a: " + std::string(max_head - get.size() - 3, 'a')) == errc::none);
  CHECK(check(get + "a: " + std::string(max_head, 'a')) == errc::head_too_large);
}

TEST_CASE("partial head: in pieces a head gets the answer that it gets at once", "[unit][partial_head]") {
  auto heads = corpus();
  REQUIRE(heads.size() > 10);
  heads.insert(heads.end(), valid_heads.begin(), valid_heads.end());
  for (const auto& head : heads) compare(head);
  // Variants of these heads: up to three times a byte is replaced, inserted or removed.
  constexpr std::string_view bytes{
      "\r\n \t:;,/#(\0\x01\x7f\x80"
      "aG01H",
      19};
  std::mt19937 draw{20261127};
  for (int i = 0; i < 20'000; ++i) {
    auto head = heads[draw() % heads.size()];
    for (auto edits = draw() % 3 + 1; edits > 0; --edits) {
      const auto at = draw() % head.size();
      const char byte = bytes[draw() % bytes.size()];
      switch (draw() % 3) {
        case 0:
          head[at] = byte;
          break;
        case 1:
          head.insert(at, 1, byte);
          break;
        default:
          head.erase(at, 1);
      }
      if (head.empty()) head = "\r";
    }
    compare(head);
  }
}

}  // namespace llm_proxy
