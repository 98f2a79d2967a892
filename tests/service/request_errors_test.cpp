// What a client gets for a request that cannot be served: a status, an OpenAI error object, and its id.
#include "support/raw_requests.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns the list of fields with which the body of a 422 begins.
std::string detail_before(const std::string& body, std::size_t error) {
  const std::string begin = R"({"detail":[{"loc":["body")";
  const auto all = body.substr(0, error);
  const bool is_list = all.find(begin) == 0 && all.size() > 3 && all.substr(all.size() - 3) == "}],";
  return is_list ? all : "no list in " + body;
}

/// Checks that an answer is an error as every error must be: its content type, its request id and its shape.
void check_error(const response& answer, int status, std::string_view code) {
  CHECK(answer.status == status);
  CHECK(answer.complete);
  CHECK(answer.header("content-type") == "application/json");
  CHECK_FALSE(answer.header("x-request-id").empty());
  CHECK_FALSE(answer.header("date").empty());
  const auto error = answer.body.find(R"("error":{"message":")");
  CHECK(answer.body.substr(0, error) == (status == 422 ? detail_before(answer.body, error) : "{"));
  CHECK(holds(answer.body, R"(","type":"invalid_request_error","param":)"));
  CHECK(holds(answer.body, R"(,"code":")" + std::string{code} + R"("}})"));
}

}  // namespace

TEST_CASE("errors: a body that is not JSON is a 400", "[service][errors]") {
  proxy service{mock_settings()};
  const auto good = chat_body("m");
  const std::vector<std::string> rows{
      "",
      " ",
      "{",
      "nonsense",
      good + "x",
      good + good,
      good + std::string(1, '\0'),
      good.substr(0, good.size() - 1),
      "{\"model\":\"\xff\",\"messages\":[]}",
      "{\"model\":\"\xed\xa0\x80\",\"messages\":[]}",
      R"({"model":"m","messages":[],"x":NaN})",
      R"({"model":"m","messages":[],"x":-Infinity})",
      R"({"model":"m","messages":[],})",
      R"({'model':'m','messages':[]})",
      "\xef\xbb\xbf\xef\xbb\xbf" + good,
  };
  for (const auto& body : rows) {
    INFO(body);
    const auto answer = chat(service, body);
    check_error(answer, 400, "invalid_json");
    CHECK(holds(answer.body, R"("param":null)"));
  }
}

TEST_CASE("errors: JSON of the wrong shape is a 422 that names the field", "[service][errors]") {
  proxy service{mock_settings()};
  const auto with = [](const std::string& members) {
    return R"({"model":"m","messages":[{"role":"user","content":"x"}],)" + members + "}";
  };
  struct row {
    std::string body;
    std::string param;
  };
  const std::vector<row> rows{
      {R"({"messages":[]})", R"("model")"},
      {R"({"model":null,"messages":[]})", R"("model")"},
      {R"({"model":7,"messages":[]})", R"("model")"},
      {R"({"model":"m"})", R"("messages")"},
      {R"({"model":"m","messages":null})", R"("messages")"},
      {R"({"model":"m","messages":{}})", R"("messages")"},
      {R"({"model":"m","messages":["x"]})", R"("messages[0])"},
      {R"({"model":"m","messages":[{"content":"x"}]})", R"("messages[0].role")"},
      {R"({"model":"m","messages":[{"role":"user"},{"role":1}]})", R"("messages[1].role")"},
      {R"({"model":"m","messages":[{"role":"user","content":{}}]})", R"("messages[0].content")"},
      {with(R"("stream":"yes")"), R"("stream")"},
      {with(R"("temperature":"hot")"), R"("temperature")"},
      {with(R"("top_p":[])"), R"("top_p")"},
      {with(R"("presence_penalty":true)"), R"("presence_penalty")"},
      {with(R"("frequency_penalty":{})"), R"("frequency_penalty")"},
      {with(R"("n":"1")"), R"("n")"},
      {with(R"("max_tokens":"1")"), R"("max_tokens")"},
      {with(R"("tools":{})"), R"("tools")"},
      {with(R"("functions":"f")"), R"("functions")"},
      {with(R"("tool_choice":1)"), R"("tool_choice")"},
      {with(R"("function_call":[])"), R"("function_call")"},
      {with(R"("stop":{})"), R"("stop")"},
      {with(R"("logit_bias":[])"), R"("logit_bias")"},
      {with(R"("user":1)"), R"("user")"},
      {with(R"("stream":true,"stream":1)"), R"("stream")"},
      {with("\"mod\\u0065l\":null"), R"("model")"},
      {"[]", "null"},
      {"\"text\"", "null"},
  };
  for (const auto& row : rows) {
    INFO(row.body);
    const auto answer = chat(service, row.body);
    check_error(answer, 422, "invalid_request");
    CHECK(holds(answer.body, R"("param":)" + row.param));
  }
}

TEST_CASE("errors: unusual but valid requests are served", "[service][errors]") {
  proxy service{mock_settings()};
  for (const auto* members :
       {R"("stream":null,"temperature":null,"stop":null,"tools":null)", R"("x":1e400,"y":-0.0e-999)",
        R"("a":"\ud800","\udfff":{})", R"("stream":"yes","stream":false)", R"("nobody_knows":[{"this":[]}])",
        R"("tool_choice":"auto","stop":["a"],"logit_bias":{"1":2},"user":"u")"}) {
    INFO(members);
    CHECK(chat(service, R"({"model":"m","messages":[],)" + std::string{members} + "}").status == 200);
  }
}

TEST_CASE("errors: a body over the limit is a 413, before it is read", "[service][errors]") {
  auto values = mock_settings();
  values.max_body_bytes = 1000;
  proxy service{values};
  // The body itself is not sent.
  const auto declared = chat_bytes(std::string(1001, ' '));
  check_error(say(service.port(), declared.substr(0, declared.size() - 1001)), 413, "body_too_large");
  const auto fits = chat_body("m") + std::string(1000 - chat_body("m").size(), ' ');
  CHECK(chat(service, fits).status == 200);
  check_error(chat(service, fits + " "), 413, "body_too_large");
  check_error(say(service.port(), chunked_chat_head + in_chunks(fits + " ", 100)), 413, "body_too_large");
  CHECK(say(service.port(), chunked_chat_head + in_chunks(fits, 100)).status == 200);
}

TEST_CASE("errors: after a 413 for a chunked body the connection can still be used", "[service][errors]") {
  auto values = mock_settings();
  values.max_body_bytes = 1000;
  proxy service{values};
  raw_connection client{service.port()};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(
        client.send(chunked_chat_head + in_chunks(std::string(5000, 'x'), 512) + chat_bytes(chat_body("m"))));
    CHECK(read_response(client, patience).status == 413);
    // The next request gets no bytes of the dropped body.
    CHECK(read_response(client, patience).status == 200);
  }
}

TEST_CASE("errors: a body of another type or coding is a 415", "[service][errors]") {
  proxy service{mock_settings()};
  const auto body = chat_body("m");
  for (const auto* type : {"text/plain", "application/xml", "multipart/form-data; boundary=x", "",
                           "application/jsonp", "application/x-www-form-urlencoded"}) {
    INFO(type);
    check_error(say(service.port(), chat_bytes(body, "content-type: " + std::string{type} + "\r\n")), 415,
                "unsupported_media_type");
  }
  for (const auto* encoding : {"gzip", "br", "deflate", "identity, gzip"}) {
    check_error(say(service.port(), chat_bytes(body, "content-encoding: " + std::string{encoding} + "\r\n")),
                415, "unsupported_content_encoding");
  }
  for (const auto* type : {"application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"}) {
    CHECK(say(service.port(), chat_bytes(body, "content-type: " + std::string{type} + "\r\n")).status == 200);
  }
  CHECK(say(service.port(), chat_bytes(body)).status == 200);
}

TEST_CASE("errors: unknown paths are 404, known ones with another method 405 and Allow",
          "[service][errors]") {
  proxy service{mock_settings()};
  const auto ask = [&](std::string_view method, std::string_view target) {
    return request(service.port(), method, target, with_key);
  };
  for (const auto* path : {"/v1", "/v1/models/", "/v1/chat/completions/", "/V1/models", "//v1/models",
                           "/v1/skills", "/health/", "/v1/llm/models/x", "/v1/%6dodels"}) {
    INFO(path);
    check_error(ask("GET", path), 404, "not_found");
  }
  check_error(ask("GET", "/v1/chat/completions"), 405, "method_not_allowed");
  CHECK(ask("GET", "/v1/chat/completions").header("allow") == "POST");
  CHECK(ask("DELETE", "/v1/models").header("allow") == "GET, HEAD");
  CHECK(ask("POST", "/v1/llm/models").header("allow") == "GET, HEAD");
  CHECK(ask("PUT", "/v1/models/a/b").header("allow") == "GET, HEAD");
  CHECK(ask("OPTIONS", "/v1/chat/completions").status == 405);
}

TEST_CASE("errors: a base URL that ends in /v1, for a client that adds it, is named as the cause",
          "[service][errors]") {
  proxy service{mock_settings()};
  for (const auto* path : {"/v1/v1/chat/completions", "/v1/v1/messages"}) {
    INFO(path);
    const auto answer = request(service.port(), "POST", path, with_key, "{}");
    CHECK(answer.status == 404);
    CHECK_THAT(answer.body, Catch::Contains("its base URL must not end in /v1"));
    CHECK(answer.body.starts_with(R"({"type":"error")") == std::string_view{path}.ends_with("messages"));
  }
}

TEST_CASE("errors: HEAD gets the same head as GET", "[service][errors]") {
  proxy service{mock_settings()};
  for (const auto* path :
       {"/health", "/v1/models", "/v1/models/mock-llm", "/v1/llm/models", "/nowhere", "/v1/models/unknown"}) {
    INFO(path);
    const auto full = request(service.port(), "GET", path, with_key);
    raw_connection client{service.port()};
    REQUIRE(client.send(make_request("HEAD", path, with_key) + get_health));
    const auto bare = read_response(client, patience, true);
    CHECK(bare.status == full.status);
    CHECK(bare.header("content-length") == full.header("content-length"));
    CHECK(bare.header("content-type") == full.header("content-type"));
    CHECK(bare.body.empty());
    CHECK(read_response(client, patience).status == 200);
  }
  raw_connection client{service.port()};
  REQUIRE(client.send(make_request("HEAD", "/v1/chat/completions", with_key)));
  const auto refused = read_response(client, patience, true);
  CHECK(refused.status == 405);
  CHECK(refused.header("allow") == "POST");
}

TEST_CASE("errors: an unknown Expect is a 417", "[service][errors]") {
  proxy service{mock_settings()};
  check_error(say(service.port(), chat_bytes(chat_body("m"), "expect: the-unexpected\r\n")), 417,
              "expectation_failed");
}

TEST_CASE("errors: a valid x-request-id is kept, any other is replaced", "[service][errors]") {
  proxy service{mock_settings()};
  const auto id_for = [&](const std::string& given, std::string_view path) {
    auto headers = with_key;
    headers.emplace_back("X-Request-Id", given);
    const auto answer = request(service.port(), "GET", path, headers);
    CHECK(answer.all("x-request-id").size() == 1);
    return answer.header("x-request-id");
  };
  for (const auto* path : {"/health", "/nowhere", "/v1/models"}) {
    for (const std::string sane : {"a", "req-1.2:3/4_5", "{c0ffee}"}) CHECK(id_for(sane, path) == sane);
    CHECK(id_for(std::string(128, 'i'), path) == std::string(128, 'i'));
    for (const std::string odd : {"", "two words", "quo\"te", "back\\slash", "\xc3\xa4", "it's"}) {
      INFO(odd);
      CHECK(id_for(odd, path).size() == 32);
    }
    CHECK(id_for(std::string(129, 'i'), path).size() == 32);
  }
  CHECK(id_for("", "/health") != id_for("", "/health"));
  auto headers = with_key;
  headers.emplace_back("x-request-id", "mine");
  const auto stream = request(service.port(), "POST", "/v1/chat/completions", headers, chat_body("m", true));
  CHECK(stream.header("x-request-id") == "mine");
}

}  // namespace llm_proxy::test
