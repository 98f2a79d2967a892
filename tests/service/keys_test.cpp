// Who is let in: the internal key in each of its three headers, and the paths that need no key.
#include "http/answer/error_shape.hpp"
#include "support/raw_requests.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

int models_status(const proxy& service, const header_list& headers) {
  return request(service.port(), "GET", "/v1/models", headers).status;
}

}  // namespace

TEST_CASE("key: it is accepted in x-internal-auth, as a bearer token and in x-api-key", "[service][key]") {
  proxy service{mock_settings()};
  const std::string good{test_key};
  const std::vector<header_list> rows{
      {{"x-internal-auth", good}},
      {{"X-INTERNAL-Auth", good}},
      {{"x-internal-auth", "  " + good + "\t "}},
      {{"authorization", "Bearer " + good}},
      {{"authorization", "bEaReR " + good}},
      {{"authorization", "Bearer   " + good}},
      {{"x-api-key", good}},
      {{"X-Api-Key", good}, {"authorization", "Bearer not-it"}},
  };
  for (const auto& headers : rows) {
    INFO(headers.front().first << ": " << headers.front().second);
    CHECK(models_status(service, headers) == 200);
  }
}

TEST_CASE("key: a right x-internal-auth wins over any authorization", "[service][key]") {
  proxy service{mock_settings()};
  const std::string good{test_key};
  for (const std::string other : {"Bearer wrong", "Basic eDp5", "", "Bearer", "Digest a=b"}) {
    CHECK(models_status(service, {{"x-internal-auth", good}, {"authorization", other}}) == 200);
    CHECK(models_status(service, {{"authorization", other}, {"x-internal-auth", good}}) == 200);
  }
}

TEST_CASE("key: a wrong, empty or repeated x-internal-auth is a 401 whatever else is sent",
          "[service][key]") {
  proxy service{mock_settings()};
  const std::string good{test_key};
  const std::vector<std::vector<std::string>> sent{{"wrong"},       {""},       {good, good},
                                                   {good, "wrong"}, {"", good}, {good + ", " + good}};
  for (const auto& values : sent) {
    header_list headers;
    for (const auto& value : values) headers.emplace_back("x-internal-auth", value);
    CHECK(models_status(service, headers) == 401);
    headers.emplace_back("authorization", "Bearer " + good);
    headers.emplace_back("x-api-key", good);
    CHECK(models_status(service, headers) == 401);
  }
}

TEST_CASE("key: only the whole key is accepted", "[service][key]") {
  proxy service{mock_settings()};
  const std::string good{test_key};
  const std::vector<header_list> rows{
      {},
      {{"x-internal-auth", good + "x"}},
      {{"x-internal-auth", good.substr(1)}},
      {{"x-internal-auth", good.substr(0, good.size() - 1)}},
      {{"x-internal-auth", "TEST-KEY"}},
      {{"x-internal-auth", "Bearer " + good}},
      {{"authorization", good}},
      {{"authorization", "Bearer"}},
      {{"authorization", "Bearer "}},
      {{"authorization", "Bearer" + good}},
      {{"authorization", "Basic " + good}},
      {{"authorization", "Bearer " + good + " " + good}},
      {{"x-api-key", ""}},
      {{"x-api-key", good + "2"}},
      {{"x-api-key", good}, {"x-api-key", good}},
      {{"cookie", "x-internal-auth=" + good}},
      {{"x-internal-authh", good}},
  };
  for (const auto& headers : rows) CHECK(models_status(service, headers) == 401);
  CHECK(request(service.port(), "GET", "/v1/models?x-internal-auth=" + good).status == 401);
}

TEST_CASE("key: a key of other bytes than ASCII is compared as bytes", "[service][key]") {
  auto values = mock_settings();
  values.internal_api_key = "schl\xc3\xbcssel \xff!";
  proxy service{values};
  CHECK(models_status(service, {{"x-internal-auth", values.internal_api_key}}) == 200);
  CHECK(models_status(service, {{"authorization", "Bearer " + values.internal_api_key}}) == 200);
  CHECK(models_status(service, {{"x-internal-auth", "schl\xc3\xbcssel \xfe!"}}) == 401);
}

TEST_CASE("key: the 401 says how to sign in, to old clients and to SDKs", "[service][key]") {
  proxy service{mock_settings()};
  const auto refused = request(service.port(), "GET", "/v1/llm/models");
  CHECK(refused.status == 401);
  CHECK(refused.header("www-authenticate") == "Bearer");
  CHECK(refused.header("content-type") == "application/json");
  CHECK(refused.header("x-request-id").size() == 32);
  CHECK(refused.body == error_body(dialect::chat, failure{.code = errc::unauthorized}));
  CHECK(refused.body.find(R"({"detail":"unauthorized","error":{"message":")") == 0);
  CHECK(holds(refused.body, R"(","type":"authentication_error","param":null,"code":"unauthorized"}})"));
}

TEST_CASE("key: it is checked before the path, the method and the body", "[service][key]") {
  proxy service{mock_settings()};
  for (const auto* method : {"GET", "POST", "DELETE", "OPTIONS", "PUT"}) {
    for (const auto* path :
         {"/no/such/path", "/v1/chat/completions", "/v1/models/x", "/health/", "/healthz"}) {
      CHECK(request(service.port(), method, path).status == 401);
    }
  }
  // The answer comes although no body was sent.
  CHECK(say(service.port(), "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
            .status == 401);
  CHECK(say(service.port(),
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: text/html\r\n"
            "content-length: 99999999\r\n\r\n")
            .status == 401);
  const auto head = say(service.port(), "HEAD /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  CHECK(head.status == 401);
}

TEST_CASE("key: bytes that are not HTTP are refused before the key is checked", "[service][key]") {
  proxy service{mock_settings()};
  CHECK(say(service.port(), "GET /v1/models HTTP/1.1\r\n\r\n").status == 400);
  CHECK(say(service.port(), "BREW /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").status == 501);
}

TEST_CASE("key: /health is public for every method and query", "[service][key]") {
  proxy service{mock_settings()};
  for (const auto* target : {"/health", "/health?", "/health?x=y", "/health?/v1/models"}) {
    CHECK(request(service.port(), "GET", target).status == 200);
    for (const auto* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}) {
      const auto refused = request(service.port(), method, target);
      CHECK(refused.status == 405);
      CHECK(refused.header("allow") == "GET, HEAD");
      CHECK(holds(refused.body, R"("code":"method_not_allowed")"));
    }
  }
  CHECK(request(service.port(), "GET", "/health", {{"x-internal-auth", "wrong"}}).status == 200);
}

}  // namespace llm_proxy::test
