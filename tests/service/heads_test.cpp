// Request heads and body framing over a real socket. A request that two parsers could read differently is
// refused, and the connection ends.
#include "support/raw_requests.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string get = "GET /health HTTP/1.1\r\n";
const std::string host = "host: x\r\n";
const std::string post = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + key_line;

struct row {
  std::string bytes;
  int status;
};

/// Sends each row, followed by a valid request that must not be served, because where it begins is in doubt.
void check_refused(const proxy& service, const std::vector<row>& rows) {
  for (const auto& [bytes, status] : rows) {
    INFO(bytes.substr(0, 120));
    raw_connection client{service.port()};
    REQUIRE(client.send(bytes + get_health));
    const auto answer = read_response(client, patience);
    CHECK(answer.status == status);
    CHECK(answer.header("connection") == "close");
    CHECK(answer.header("content-type") == "application/json");
    CHECK(answer.body.find(R"({"error":{"message":")") == 0);
    CHECK(client.read_to_end(patience).bytes.empty());
  }
}

}  // namespace

TEST_CASE("head: usual and unusual but unambiguous heads are served", "[service][head]") {
  proxy service{mock_settings()};
  for (const std::string& bytes : std::vector<std::string>{
           get + host + "\r\n",
           "\r\n\r\n" + get + host + "\r\n",
           get + "HOST:x\r\n\r\n",
           get + "Host: \t example.com:8080 \t\r\n\r\n",
           get + "host: [::1]:80\r\n\r\n",
           get + "host: x:\r\n\r\n",
           get + host + "a:\r\nb: \t\r\nc: x\ty\r\nd: \xc3\xa4\r\n\r\n",
           get + host + "content-length: 0\r\n\r\n",
           get + host + "content-length: 3\r\n\r\nabc",
           "GET http://any.host:1/health HTTP/1.1\r\nhost: other\r\n\r\n",
           "GET HTTP://any.host/health?x HTTP/1.1\r\nhost: x\r\n\r\n",
           "GET https://[::1]/health HTTP/1.1\r\nhost: x\r\n\r\n",
           "GET /health?q=http://x/y HTTP/1.1\r\nhost: x\r\n\r\n",
           "GET /health HTTP/1.0\r\n\r\n",
           get + host + "a: " + std::string(32'000, 'a') + "\r\n\r\n",
           "GET /health?" + std::string(8'000, 'a') + " HTTP/1.1\r\nhost: x\r\n\r\n",
       }) {
    INFO(bytes.substr(0, 120));
    CHECK(say(service.port(), bytes).status == 200);
  }
}

TEST_CASE("head: an ambiguous request line is refused", "[service][head]") {
  proxy service{mock_settings()};
  check_refused(service, {
                             {"\x16\x03\x01\x02\r\n\r\n", 400},  // TLS
                             {"GET /health\r\n" + host + "\r\n", 400},
                             {"GET  /health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health  HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health HTTP/1.1 \r\n" + host + "\r\n", 400},
                             {" GET /health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET\t/health\tHTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /hea lth HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health#x HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET ftp://x/health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET http:///health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET http://u:p@x/health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /\x7f HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health HTTP/1.1x\r\n" + host + "\r\n", 400},
                             {"GET /health http/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health HTTP/11\r\n" + host + "\r\n", 400},
                             {"G(T /health HTTP/1.1\r\n" + host + "\r\n", 400},
                             {"GET /health HTTP/2.0\r\n" + host + "\r\n", 505},
                             {"GET /health HTTP/0.9\r\n" + host + "\r\n", 505},
                             {"GET /health HTTP/1.2\r\n" + host + "\r\n", 505},
                             {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
                             {"FETCH /health HTTP/1.1\r\n" + host + "\r\n", 501},
                             {"get /health HTTP/1.1\r\n" + host + "\r\n", 501},
                         });
}

TEST_CASE("head: ambiguous header lines are refused", "[service][head]") {
  proxy service{mock_settings()};
  check_refused(service, {
                             {"GET /health HTTP/1.1\nhost: x\n\n", 400},
                             {get + "host: x\n\r\n", 400},
                             {get + host + "a: b\nc: d\r\n\r\n", 400},
                             {get + host + "a: b\rc: d\r\n\r\n", 400},
                             {get + host + "a: b\r\n c\r\n\r\n", 400},
                             {get + " " + host + "\r\n", 400},
                             {get + host + "a : b\r\n\r\n", 400},
                             {get + host + ": b\r\n\r\n", 400},
                             {get + host + "a b: c\r\n\r\n", 400},
                             {get + host + "no colon\r\n\r\n", 400},
                             {get + host + "a: " + std::string(1, '\0') + "\r\n\r\n", 400},
                             {get + host + "a: \x01\r\n\r\n", 400},
                             {get + host + "a: \x7f\r\n\r\n", 400},
                             {get + host + "\xc3\xa4: b\r\n\r\n", 400},
                         });
}

TEST_CASE("head: HTTP/1.1 needs exactly one valid Host", "[service][head]") {
  proxy service{mock_settings()};
  std::vector<row> rows{{get + "\r\n", 400}, {get + "host: a\r\nhost: a\r\n\r\n", 400}};
  for (const auto* value : {"", "a b", "a/b", "u@a", "a:b", "a:80:80", "a:123456", "[::1", "[x]", "a?b"}) {
    rows.push_back({get + "host: " + value + "\r\n\r\n", 400});
  }
  check_refused(service, rows);
}

TEST_CASE("head: a body's length must be given exactly once and in the plainest form", "[service][head]") {
  proxy service{mock_settings()};
  std::vector<row> rows{
      {post + "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400},
      {post + "transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", 400},
      {post + "content-length: 1\r\ncontent-length: 1\r\n\r\n", 400},
      {post + "content-length: 1\r\ncontent-length: 2\r\n\r\n", 400},
      {post + "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", 400},
      {post + "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n", 400},
      {post + "transfer-encoding:\r\n chunked\r\n\r\n", 400},
      {post + "transfer-encoding : chunked\r\n\r\n", 400},
      {post + "transfer-encoding\x0b: chunked\r\n\r\n", 400},
      {"POST /v1/chat/completions HTTP/1.0\r\n" + key_line + "transfer-encoding: chunked\r\n\r\n", 400},
  };
  for (const auto* value :
       {"1,1", "1, 2", "+1", "-1", "0x1", "1 1", "1e1", "", "99999999999999999999", "abc"}) {
    rows.push_back({post + "content-length: " + value + "\r\n\r\n", 400});
  }
  for (const auto* value : {"gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity",
                            "xchunked", "\"chunked\"", "chunked;q=1", "", ",chunked", "chunked,"}) {
    rows.push_back({post + "transfer-encoding: " + value + "\r\n\r\n", 400});
  }
  check_refused(service, rows);
}

TEST_CASE(
    "head: a line that is too long is a 414 and a head that is too long a 431, before their ends arrive",
    "[service][head]") {
  proxy service{mock_settings()};
  const auto ask = [&](const std::string& bytes, int status) {
    raw_connection client{service.port()};
    client.send(bytes);
    const auto answer = read_response(client, patience);
    CHECK(answer.status == status);
    CHECK(answer.header("connection") == "close");
  };
  ask("GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\nhost: x\r\n\r\n", 414);
  ask("GET /" + std::string(9'000, 'a'), 414);
  ask("GET /" + std::string(1'000'000, 'a'), 414);
  ask(get + "host: x\r\na: " + std::string(33'000, 'a') + "\r\n\r\n", 431);
  ask(get + "host: x\r\na: " + std::string(33'000, 'a'), 431);
  std::string many = get + "host: x\r\n";
  for (int i = 0; i < 5'000; ++i) many += "x-" + std::to_string(i) + ": y\r\n";
  ask(many + "\r\n", 431);
}

TEST_CASE("body: broken chunked framing is a 400 and ends the connection", "[service][head]") {
  proxy service{mock_settings()};
  std::vector<row> rows;
  for (const std::string& framing : std::vector<std::string>{
           "zz\r\n", "\r\n", "-1\r\n", "+1\r\n", " 5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
           "5\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n",
           "ffffffffffffffffff\r\n", "5 5\r\nhello\r\n0\r\n\r\n", "0\r\nbad trailer\r\n\r\n",
           "1;" + std::string(40'000, 'a') + "\r\n", "0\r\nx: " + std::string(40'000, 'a') + "\r\n\r\n"}) {
    rows.push_back({chunked_chat_head + framing, 400});
  }
  std::string extended;
  for (int i = 0; i < 2'000; ++i) extended += "1;name=value\r\n \r\n";
  rows.push_back({chunked_chat_head + extended + "0\r\n\r\n", 400});
  std::string trailers = "0\r\n";
  for (int i = 0; i < 4'000; ++i) trailers += "x-" + std::to_string(i) + ": y\r\n";
  rows.push_back({chunked_chat_head + trailers + "\r\n", 400});
  check_refused(service, rows);
}

TEST_CASE("head: an upgrade is ignored, even to h2c, and the connection stays with HTTP/1.1",
          "[service][head]") {
  proxy service{mock_settings()};
  for (const std::string offer :
       {"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "upgrade: TLS/1.0, HTTP/1.1\r\n"}) {
    INFO(offer);
    raw_connection client{service.port()};
    const auto body = chat_body("m");
    REQUIRE(client.send(get + host + offer + "\r\n" + chat_bytes(body, offer) + get_health));
    for (int i = 0; i < 3; ++i) {
      const auto answer = read_response(client, patience);
      CHECK(answer.status == 200);
      CHECK(answer.version == "HTTP/1.1");
      CHECK(answer.interim.empty());
      CHECK_FALSE(answer.has("upgrade"));
      CHECK_FALSE(answer.has("connection"));
    }
  }
}

TEST_CASE("head: a request is refused at its first fault, before its end has arrived", "[service][head]") {
  auto values = mock_settings();
  values.client_head_timeout = values.client_body_timeout = 1h;
  proxy service{values};
  const std::vector<row> rows{
      {"GET /health\r\n", 400},  // HTTP/0.9
      {"\x16\x03\x01", 400},     // TLS
      {"GET / HTTP/2.0\r\n", 505},
      {"FETCH / HTTP/1.1\r\n", 501},
      {get + "no colon\r\n", 400},
      {get + host + "content-length: x\r\n", 400},
      {post + "content-length: 1\r\ntransfer-encoding: chunked\r\n", 400},
      {chunked_chat_head + "zz", 400},
      {chunked_chat_head + "5\r\nhello\r\n5 x", 400},
  };
  for (const auto& [bytes, status] : rows) {
    for (const std::size_t piece : {bytes.size(), std::size_t{1}}) {
      CAPTURE(bytes, piece);
      raw_connection client{service.port()};
      REQUIRE(client.send_slowly(bytes, piece, 0ms));
      const auto answer = read_response(client, 2s);
      CHECK(answer.status == status);
      CHECK(answer.header("connection") == "close");
    }
  }
}

TEST_CASE("body: a chunk whose size exceeds MAX_BODY_BYTES is a 413 before its data", "[service][head]") {
  auto values = mock_settings();
  values.max_body_bytes = 2'000'000;
  values.client_body_timeout = 1h;
  values.passthrough_paths = {"/v1/skills"};
  proxy service{values};
  const std::string upload =
      "POST /v1/skills HTTP/1.1\r\nhost: x\r\n" + key_line + "transfer-encoding: chunked\r\n\r\n";
  const std::string form =
      "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: x\r\n" + key_line +
      "content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const auto& head : {chunked_chat_head, upload, form}) {
    for (const std::string body : {"ffffffff\r\n", "1e8481\r\n", "5\r\nhello\r\n1e847c\r\n"}) {
      CAPTURE(head, body);
      raw_connection client{service.port()};
      REQUIRE(client.send(head + body));
      const auto answer = read_response(client, 2s);
      CHECK(answer.status == 413);
      CHECK(holds(answer.body, R"("code":"body_too_large")"));
      CHECK(answer.header("connection") == "close");  // the rest is more than the service reads and drops
      CHECK(client.wait_closed(patience) == read_end::eof);
    }
  }
  // A chunk that just fits the limit is read.
  raw_connection fits{service.port()};
  REQUIRE(fits.send(chunked_chat_head + "1e8480\r\n"));
  CHECK(fits.stays_quiet(200ms));
}

TEST_CASE("body: while a body is dropped, a chunk that exceeds 1 MiB ends the connection immediately",
          "[service][head]") {
  auto values = mock_settings();
  values.client_body_timeout = 1h;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(client.send("POST /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"));
  CHECK(read_response(client, patience).status == 405);
  REQUIRE(client.send("ffffffff\r\n"));
  CHECK(client.wait_closed(2s) == read_end::eof);
}

TEST_CASE("body: endless chunk extensions and trailers are refused", "[service][head]") {
  proxy service{mock_settings()};
  for (const std::string begin : {"1;", "0\r\nx: "}) {
    raw_connection client{service.port()};
    // The line of the extension or the trailer never ends.
    client.send(chunked_chat_head + begin + std::string(40'000, 'a'));
    CHECK(read_response(client, patience).status == 400);
  }
}

}  // namespace llm_proxy::test
