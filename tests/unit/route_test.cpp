#include "http/route.hpp"

#include "support/catch.hpp"

namespace llm_proxy {

TEST_CASE("route: each row is found by method and path, HEAD with GET", "[unit][route]") {
  for (const auto* method : {"GET", "HEAD"}) {
    CHECK(find_route(method, "/health").target == endpoint::health);
    CHECK(find_route(method, "/v1/models").target == endpoint::models);
    CHECK(find_route(method, "/v1/llm/models").target == endpoint::llm_models);
    CHECK(find_route(method, "/v1/models/a").target == endpoint::model);
  }
  CHECK(find_route("POST", "/v1/chat/completions").target == endpoint::chat_completions);
}

TEST_CASE("route: a known path with another method says which it takes", "[unit][route]") {
  const auto wrong = find_route("POST", "/health");
  CHECK(wrong.target == endpoint::wrong_method);
  CHECK(wrong.allow == "GET, HEAD");
  for (const auto* method : {"GET", "HEAD", "PUT", "OPTIONS"}) {
    const auto match = find_route(method, "/v1/chat/completions");
    CHECK(match.target == endpoint::wrong_method);
    CHECK(match.allow == "POST");
  }
}

TEST_CASE("route: other paths are none", "[unit][route]") {
  for (const auto* path : {"", "/", "*", "/health/", "/Health", "/v1/models/", "/v1/model",
                           "/v1/chat/completions/", "/v1/chat/completions/x", "x:443", "//health"}) {
    INFO(path);
    CHECK(find_route("GET", path).target == endpoint::none);
    CHECK(find_route("POST", path).target == endpoint::none);
  }
}

TEST_CASE("route: a model's id is the rest of the path, percent-decoded once", "[unit][route]") {
  const auto id = [](std::string_view rest) {
    return find_route("GET", "/v1/models/" + std::string{rest}).parameter;
  };
  CHECK(id("gpt-4") == "gpt-4");
  CHECK(id("vendor/model/1") == "vendor/model/1");
  CHECK(id("vendor%2Fmodel%2f1") == "vendor/model/1");
  CHECK(id("a%20b+c") == "a b+c");
  CHECK(id("%2525") == "%25");
  CHECK(id("%C3%A4") == "\xc3\xa4");
  CHECK(id("%00") == std::string(1, '\0'));
  for (const auto* no_escape : {"%", "%4", "%g0", "%0g", "100%"}) CHECK(id(no_escape) == no_escape);
}

TEST_CASE("route: only /health is public", "[unit][route]") {
  CHECK(is_public_path("/health"));
  for (const auto* path : {"", "/", "/health/", "/healthz", "/v1/models"}) CHECK_FALSE(is_public_path(path));
}

}  // namespace llm_proxy
