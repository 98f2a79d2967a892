// New routes as docs/extend.md shows them: the lines between the two marks are copied into that page.
// recipe: begin
#include "actors/service/proxy.hpp"
#include "http/json/json_text.hpp"

#include <array>

namespace llm_proxy {

/// Tells a client what its key may do.
own_answer who_am_i(const request_head&, const key_rules& who) {
  own_answer answer{{200, {}}, {}};
  answer.head.headers.add("content-type", "application/json");
  answer.body = R"({"key":)" + json_quoted(who.name) + R"(,"rpm":)" + std::to_string(who.rpm) + "}";
  return answer;
}

constexpr std::array own_routes{
    // Answered here, from the head and the key alone.
    route{.method = "GET", .path = "/v1/whoami", .target = endpoint::own, .answer = who_am_i},
    // Passed on to LiteLLM if its body is a JSON object. `model` and aliases work as everywhere.
    route{.method = "POST",
          .path = "/v1/scan",
          .target = endpoint::upstream,
          .body = body_kind::json,
          .speaks = dialect::chat,
          .rules = &object_rules},
};

}  // namespace llm_proxy
// recipe: end

#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

namespace llm_proxy::test {

TEST_CASE("extension: a route of one's own is answered by its function, and needs a key",
          "[service][extend]") {
  proxy service{mock_settings(), {}, {}, {}, own_routes};
  const auto answer = get(service, "/v1/whoami");
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"key":"default","rpm":0})");
  CHECK(answer.header("content-type") == "application/json");
  CHECK_FALSE(answer.header("x-request-id").empty());
  CHECK(request(service.port(), "GET", "/v1/whoami").status == 401);
  const auto head = request(service.port(), "HEAD", "/v1/whoami", {key_field});
  CHECK(head.status == 200);
  const auto wrong = request(service.port(), "POST", "/v1/whoami", {key_field}, "{}");
  CHECK(wrong.status == 405);
  CHECK(wrong.header("allow") == "GET, HEAD");
}

TEST_CASE("extension: an upstream route of one's own is checked, resolved and passed on byte for byte",
          "[service][extend]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    reply.json(200, is_chat(req) ? R"({"pages":[1.0]})" : R"({"data":[]})");
  }};
  auto values = litellm_settings(up.url());
  values.model_aliases = {{"scan", "mistral-ocr"}};
  proxy service{values, {}, {}, {}, own_routes};
  const auto ask = [&](std::string_view body) {
    return request(service.port(), "POST", "/v1/scan", {key_field}, body);
  };
  const auto answer = ask(R"({"document":1e-7,"model":"scan"})");
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"pages":[1.0]})");
  const auto got = chats_of(up);
  REQUIRE(got.size() == 1);
  CHECK(got[0].target == "/v1/scan");
  CHECK(got[0].body == R"({"document":1e-7,"model":"mistral-ocr"})");
  CHECK(ask("{").status == 400);
  CHECK(ask("[]").status == 422);
  values.model_aliases = {};
  service.reconfigure(values);
  CHECK(ask("{}").status == 200);
}

TEST_CASE("extension: a route of one's own takes no path away from the service's", "[unit][extend]") {
  constexpr std::array greedy{
      route{.method = "GET", .path = "/health", .target = endpoint::own, .answer = who_am_i},
      route{.method = "POST", .path = "/health", .target = endpoint::own, .answer = who_am_i},
      route{.method = "POST", .path = "/metrics", .target = endpoint::own, .answer = who_am_i}};
  CHECK(find_route("GET", "/health", {}, true, greedy).target == endpoint::health);
  CHECK(find_route("POST", "/health", {}, true, greedy).target == endpoint::wrong_method);
  CHECK(find_route("POST", "/metrics", {}, true, greedy).target == endpoint::wrong_method);
}

TEST_CASE("extension: what an opaque route of one's own answers is not read", "[service][extend]") {
  constexpr std::array opaque{
      route{.method = "GET", .path = "/v1/raw", .target = endpoint::upstream, .speaks = dialect::opaque}};
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    reply.json(200, req.target == "/v1/raw" ? R"({"error":{"message":"of its own"}} x)" : R"({"data":[]})");
  }};
  proxy service{litellm_settings(up.url()), {}, {}, {}, opaque};
  const auto answer = get(service, "/v1/raw");
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"error":{"message":"of its own"}} x)");
}

}  // namespace llm_proxy::test
