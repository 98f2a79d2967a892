#include "http/request/cors.hpp"

#include "support/catch.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

const std::vector<std::string> list{"https://app.example.com", "http://localhost:5173", "http://[::1]"};

request_head head_of(std::string_view method, fields headers) {
  request_head head;
  head.method = method;
  head.target = "/v1/chat/completions";
  for (const auto& [name, value] : headers) head.headers.add(name, value);
  return head;
}

header_list headers_of(fields headers) {
  header_list out;
  for (const auto& [name, value] : headers) out.add(name, value);
  return out;
}

std::string value_of(const header_list& headers, std::string_view name) {
  return std::string{headers.find(name).value_or("(none)")};
}

}  // namespace

TEST_CASE("cors: an origin is in the list in any letter case and with its default port", "[unit][cors]") {
  for (const auto* listed :
       {"https://app.example.com", "https://APP.example.com", "HTTPS://app.example.com:443",
        "http://localhost:5173", "http://[::1]", "http://[0:0:0:0:0:0:0:1]:80"}) {
    INFO(listed);
    CHECK(is_listed_origin(listed, list));
  }
  for (const auto* foreign :
       {"", "null", "*", "http://app.example.com", "https://app.example.com:444", "https://example.com",
        "https://app.example.com.evil.example", "https://evil.example/https://app.example.com",
        "https://app.example.com/", "https://evil-app.example.com", "https://x.app.example.com",
        "http://localhost", "http://localhost:51730", "app.example.com",
        "https://app.example.com https://evil.example", "https://app.example.com, https://evil.example"}) {
    INFO(foreign);
    CHECK_FALSE(is_listed_origin(foreign, list));
  }
  CHECK_FALSE(is_listed_origin("https://app.example.com", {}));
  CHECK_FALSE(is_listed_origin("", {}));
}

TEST_CASE("cors: a preflight is an OPTIONS with an origin and the method that it asks for", "[unit][cors]") {
  CHECK(is_preflight(head_of("OPTIONS", {{"Origin", "null"}, {"Access-Control-Request-Method", "POST"}})));
  CHECK_FALSE(is_preflight(head_of("OPTIONS", {{"origin", "https://a"}})));
  CHECK_FALSE(is_preflight(head_of("OPTIONS", {{"access-control-request-method", "POST"}})));
  CHECK_FALSE(is_preflight(head_of("GET", {{"origin", "null"}, {"access-control-request-method", "GET"}})));
}

TEST_CASE("cors: a preflight is allowed every method and the headers that it names", "[unit][cors]") {
  const auto allowed = allow_preflight(
      head_of("OPTIONS", {{"access-control-request-headers",
                           "authorization,content-type , x-internal-auth,*,x-stainless-lang"}}));
  CHECK(value_of(allowed, "access-control-allow-headers") ==
        "authorization, content-type, x-internal-auth, *, x-stainless-lang");
  for (const auto* method : {"GET", "POST", "DELETE", "PATCH", "PUT"})
    CHECK(value_of(allowed, "access-control-allow-methods").find(method) != std::string::npos);
  CHECK(value_of(allowed, "access-control-max-age") == "600");
  CHECK_FALSE(allowed.find("access-control-allow-credentials"));

  CHECK_FALSE(allow_preflight(head_of("OPTIONS", {})).find("access-control-allow-headers"));
  // Only names are repeated.
  const auto odd =
      allow_preflight(head_of("OPTIONS", {{"access-control-request-headers", "x-a, <b>, x y,, x-c:d"},
                                          {"access-control-request-headers", "x-e"}}));
  CHECK(value_of(odd, "access-control-allow-headers") == "x-a, x-e");
}

TEST_CASE("cors: every answer varies by origin, and pages of listed origins may read it", "[unit][cors]") {
  auto answer = headers_of({{"content-type", "application/json"},
                            {"retry-after", "1"},
                            {"x-litellm-model-id", "m"},
                            {"x-ratelimit-remaining-tokens", "7"},
                            {"X-LLM-Proxy-Error-Source", "client"},
                            {"x-request-id", "id"}});
  auto foreign = answer;
  auto without = answer;
  add_cors_headers(answer, head_of("POST", {{"origin", "https://App.example.com"}}), list);
  CHECK(value_of(answer, "access-control-allow-origin") == "https://App.example.com");
  CHECK(value_of(answer, "access-control-expose-headers") ==
        "retry-after, x-ratelimit-remaining-tokens, X-LLM-Proxy-Error-Source, x-request-id");
  CHECK(value_of(answer, "vary") == "Origin");
  CHECK(answer.size() == 9);

  add_cors_headers(foreign, head_of("POST", {{"origin", "https://evil.example"}}), list);
  add_cors_headers(without, head_of("POST", {}), list);
  for (const auto* each : {&foreign, &without}) {
    CHECK(each->size() == 7);
    CHECK(value_of(*each, "vary") == "Origin");
  }
}

TEST_CASE("cors: pages may read what they need to retry, to measure and to report", "[unit][cors]") {
  for (const auto* name : {"x-request-id", "X-Request-Id", "request-id", "retry-after", "retry-after-ms",
                           "x-should-retry", "server-timing", "x-ratelimit-limit-requests",
                           "anthropic-ratelimit-tokens-reset", "x-llm-proxy-error-source"}) {
    INFO(name);
    CHECK(is_exposed(name));
  }
  for (const auto* name : {"date", "content-type", "x-litellm-model-id", "openai-organization",
                           "llm_provider-x-request-id", "www-authenticate", "x-request-id-2"}) {
    INFO(name);
    CHECK_FALSE(is_exposed(name));
  }
}

}  // namespace llm_proxy
