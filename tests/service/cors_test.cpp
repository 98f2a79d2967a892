// LLM_PROXY__CORS_ORIGINS: pages of listed origins use the service from a browser.
// tests/browser/cors_test.mjs tries the same in Chromium.
#include "support/program.hpp"
#include "support/raw_requests.hpp"
#include "support/upstream_chat.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

const std::string app = "https://app.example.com";
const std::string evil = "https://evil.example";

/// What openai-node asks for in a browser, as Chromium writes it.
const std::string headers_of_sdk =
    "authorization,content-type,x-internal-auth,x-stainless-arch,x-stainless-lang,x-stainless-os,"
    "x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,"
    "x-stainless-timeout";

settings with_app(settings values) {
  values.cors_origins = {app, "http://localhost:5173"};
  return values;
}

response ask(std::uint16_t port, std::string_view method, std::string_view path, const std::string& origin,
             header_list more = {}, std::string_view body = {}) {
  if (!origin.empty()) more.emplace_back("origin", origin);
  return request(port, method, path, more, body);
}

response preflight(std::uint16_t port, std::string_view path, const std::string& origin,
                   const std::string& headers = headers_of_sdk, const std::string& method = "POST",
                   header_list more = {}) {
  more.emplace_back("access-control-request-method", method);
  if (!headers.empty()) more.emplace_back("access-control-request-headers", headers);
  return ask(port, "OPTIONS", path, origin, std::move(more));
}

/// Returns the names of the headers of an answer that belong to CORS.
std::vector<std::string> cors_headers(const response& answer) {
  std::vector<std::string> found;
  for (const auto& [name, value] : answer.headers) {
    if (contains(name, "access-control-") || (iequals(name, "vary") && iequals(value, "origin")))
      found.push_back(name);
  }
  return found;
}

bool varies(const response& answer) {
  for (const auto& value : answer.all("vary")) {
    if (value == "Origin") return true;
  }
  return false;
}

bool is_for(const response& answer, const std::string& origin) {
  const auto allowed = answer.all("access-control-allow-origin");
  return varies(answer) && allowed == std::vector{origin} && !answer.has("access-control-allow-credentials");
}

bool exposes(const response& answer, std::string_view name) {
  return contains(", " + answer.header("access-control-expose-headers") + ",",
                  ", " + std::string{name} + ",");
}

}  // namespace

TEST_CASE("cors: a preflight of a listed origin is a 204 without a key, on every path", "[service][cors]") {
  scripted_upstream up;
  auto values = with_app(litellm_settings(up.url()));
  values.passthrough_paths = {"/v1/skills"};
  proxy service{values};
  for (const auto* path : {"/v1/chat/completions", "/chat/completions", "/v1/messages", "/v1/models",
                           "/health", "/metrics", "/v1/skills", "/v1/skills/a", "/no/such/path"}) {
    INFO(path);
    const auto allowed = preflight(service.port(), path, app);
    CHECK(allowed.status == 204);
    CHECK(is_for(allowed, app));
    CHECK(allowed.body.empty());
    CHECK(contains(allowed.header("access-control-allow-methods"), "POST"));
    CHECK(contains(allowed.header("access-control-max-age"), "600"));
    CHECK(allowed.has("x-request-id"));
  }
  const auto allowed =
      preflight(service.port(), "/v1/chat/completions", app).header("access-control-allow-headers");
  for (const auto* name : {"authorization", "content-type", "x-internal-auth", "x-stainless-timeout"})
    CHECK(contains(allowed, name));
  CHECK_FALSE(preflight(service.port(), "/v1/chat/completions", app, "").has("access-control-allow-headers"));
  std::string many = "x-header-0";
  for (int i = 1; i < 1000; ++i) many += ",x-header-" + std::to_string(i);
  CHECK(contains(
      preflight(service.port(), "/v1/chat/completions", app, many).header("access-control-allow-headers"),
      "x-header-999"));
  CHECK(preflight(service.port(), "/v1/responses/r", app, "authorization", "DELETE").status == 204);
  CHECK(preflight(service.port(), "/v1/chat/completions", "HTTPS://APP.example.com:443").status == 204);
  CHECK(preflight(service.port(), "/v1/models", "http://localhost:5173", "authorization", "GET").status ==
        204);
  for (const auto& request : up.requests()) CHECK(request.method != "OPTIONS");
}

TEST_CASE(
    "cors: a preflight of any other origin, and without the option of every origin, is a 403 that names it",
    "[service][cors]") {
  scripted_upstream up;
  for (const bool is_set : {true, false}) {
    auto values = litellm_settings(up.url());
    if (is_set) values = with_app(values);
    values.passthrough_paths = {"/v1/skills"};
    proxy service{values};
    for (const auto* path : {"/v1/chat/completions", "/v1/messages", "/health", "/v1/skills/a", "/nowhere"}) {
      for (const auto& origin : {is_set ? "http://app.example.com" : app, evil, std::string{"null"}}) {
        INFO(path << ' ' << origin);
        // A key does not help. A browser never sends it.
        const auto refused = preflight(service.port(), path, origin, headers_of_sdk, "POST", {key_field});
        CHECK(refused.status == 403);
        CHECK(contains(refused.body, "LLM_PROXY__CORS_ORIGINS"));
        CHECK(contains(refused.body, R"("code":"origin_not_allowed")"));
        CHECK(cors_headers(refused).size() == (is_set ? 1 : 0));
        CHECK(varies(refused) == is_set);
      }
    }
    CHECK(contains(preflight(service.port(), "/v1/messages", evil).body, R"("type":"permission_error")"));
  }
  for (const auto& request : up.requests()) CHECK(request.method != "OPTIONS");
}

TEST_CASE("cors: preflights count as a route of their own, and are no rejected_auth", "[service][cors]") {
  proxy service{with_app(mock_settings())};
  CHECK(preflight(service.port(), "/v1/chat/completions", app).status == 204);
  CHECK(preflight(service.port(), "/v1/chat/completions", evil).status == 403);
  std::string metrics;
  CHECK(eventually([&] {
    metrics = get(service, "/metrics").body;
    return contains(metrics,
                    R"(llm_proxy_requests_total{route="preflight",status="204",verdict="complete"} 1)");
  }));
  CHECK(contains(metrics,
                 R"(llm_proxy_requests_total{route="preflight",status="403",verdict="rejected_invalid"} 1)"));
  CHECK_FALSE(contains(metrics, "rejected_auth"));
}

TEST_CASE("cors: an OPTIONS that is no preflight is a request like others", "[service][cors]") {
  scripted_upstream up;
  up.set_script([](const auto&, auto& reply) { reply.json(200, "{}"); });
  auto values = with_app(litellm_settings(up.url()));
  values.passthrough_paths = {"/v1/skills"};
  proxy service{values};
  CHECK(ask(service.port(), "OPTIONS", "/v1/skills/a", app).status == 401);
  const auto passed = ask(service.port(), "OPTIONS", "/v1/skills/a", app, {key_field});
  CHECK(passed.status == 200);
  CHECK(is_for(passed, app));
  CHECK(up.requests().back().method == "OPTIONS");
  CHECK(ask(service.port(), "OPTIONS", "/v1/chat/completions", app, {key_field}).status == 405);
}

TEST_CASE("cors: every answer varies by origin, and is for the page of a listed one alone",
          "[service][cors]") {
  scripted_upstream up;
  up.set_script(chats([](const upstream_request& req, upstream_reply& reply) {
    if (contains(req.text("model"), "limited")) {
      reply.json(429, R"({"error":{"message":"slow down","code":"429"}})",
                 {{"retry-after", "7"}, {"x-ratelimit-remaining-tokens", "0"}});
    } else if (contains(req.text("model"), "broken")) {
      reply.close();
    } else {
      reply.json(200, R"({"id":"c","object":"chat.completion","choices":[]})",
                 {{"x-ratelimit-remaining-requests", "9"},
                  {"access-control-allow-origin", "*"},
                  {"access-control-allow-credentials", "true"},
                  {"vary", "origin"}});
    }
  }));
  auto values = with_app(litellm_settings(up.url()));
  values.max_body_bytes = 1000;
  values.metrics_public = true;
  proxy service{values};
  const auto port = service.port();
  struct row {
    int status;
    std::string method, path, body;
    header_list more = {key_field};
  };
  const std::string chat = "/v1/chat/completions";
  for (const auto& each : std::vector<row>{
           {200, "POST", chat, chat_body("m")},
           {401, "POST", chat, chat_body("m"), {}},
           {404, "GET", "/nowhere", ""},
           {404, "GET", "/v1/models/none", ""},
           {405, "GET", chat, ""},
           {413, "POST", chat, chat_body("m", false, std::string(2000, 'x'))},
           {422, "POST", chat, R"({"model":"m"})"},
           {429, "POST", chat, chat_body("limited")},
           {502, "POST", chat, chat_body("broken")},
           {502, "POST", "/v1/messages",
            R"({"model":"broken","max_tokens":1,"messages":[{"role":"user","content":"x"}]})"},
           {200, "GET", "/health", "", {}},
           {200, "GET", "/v1/models", ""},
           {200, "GET", "/docs", ""},
           {304, "GET", "/docs", "", {{"if-none-match", "*"}}},
           {308, "GET", "/redoc", ""},
           {200, "GET", "/metrics", ""},
           {200, "HEAD", "/ui/events", ""},
       }) {
    INFO(each.method << ' ' << each.path << ' ' << each.status);
    const auto from = [&](const std::string& origin) {
      raw_connection client{port};
      auto more = each.more;
      if (!origin.empty()) more.emplace_back("origin", origin);
      client.send(make_request(each.method, each.path, more, each.body));
      return read_response(client, patience, each.method == "HEAD");
    };
    const auto answer = from(app);
    CHECK(answer.status == each.status);
    CHECK(is_for(answer, app));
    CHECK(exposes(answer, "x-request-id"));
    if (each.status >= 400) CHECK(exposes(answer, "x-llm-proxy-error-source"));
    for (const auto& origin : {evil, std::string{}}) {
      const auto other = from(origin);
      CHECK(other.status == each.status);
      CHECK(varies(other));
      CHECK(cors_headers(other).size() == 1);
    }
  }
  const auto whole = ask(port, "POST", chat, app, {key_field}, chat_body("m"));
  CHECK(exposes(whole, "server-timing"));
  CHECK(exposes(whole, "x-ratelimit-remaining-requests"));
  const auto limited = ask(port, "POST", chat, app, {key_field}, chat_body("limited"));
  CHECK(exposes(limited, "retry-after"));
  CHECK(exposes(limited, "x-ratelimit-remaining-tokens"));
}

TEST_CASE("cors: the answer to a head that was refused varies by origin", "[service][cors]") {
  proxy service{with_app(mock_settings())};
  for (const auto& head :
       {"GET / HTTP/1.1\r\norigin: " + app + "\r\na b\r\n\r\n",
        "GET /" + std::string(9'000, 'a') + " HTTP/1.1\r\n\r\n", std::string{"GARBAGE\r\n\r\n"},
        "GET / HTTP/1.1\r\nhost: x\r\na: " + std::string(40'000, 'a') + "\r\n\r\n"}) {
    INFO(head.substr(0, 40));
    const auto refused = say(service.port(), head);
    CHECK(refused.status >= 400);
    CHECK(varies(refused));
    CHECK(cors_headers(refused).size() == 1);
  }
}

TEST_CASE("cors: a stream has the headers, and so has one that fails", "[service][cors]") {
  scripted_upstream up;
  up.set_script(chats([](const upstream_request& req, upstream_reply& reply) {
    if (contains(req.text("model"), "refused"))
      reply.sse({R"({"error":{"message":"no","code":"400"}})"});
    else
      reply.sse({R"({"choices":[{"delta":{"content":"a"}}]})", "[DONE]"},
                {{"x-ratelimit-limit-requests", "5"}});
  }));
  proxy service{with_app(litellm_settings(up.url()))};
  const auto stream =
      ask(service.port(), "POST", "/v1/chat/completions", app, {key_field}, chat_body("m", true));
  CHECK(stream.status == 200);
  CHECK(contains(stream.body, "[DONE]"));
  CHECK(is_for(stream, app));
  CHECK(exposes(stream, "server-timing"));
  CHECK(exposes(stream, "x-ratelimit-limit-requests"));
  const auto refused =
      ask(service.port(), "POST", "/v1/chat/completions", app, {key_field}, chat_body("refused", true));
  CHECK(refused.status == 400);
  CHECK(is_for(refused, app));
  // The stream of the dashboard's data writes its own head.
  raw_connection watching{service.port()};
  REQUIRE(watching.send(make_request("GET", "/ui/events", {key_field, {"origin", app}})));
  event_stream events{watching};
  REQUIRE(events.open(patience));
  CHECK(is_for(events.answer(), app));
}

TEST_CASE("cors: without the option no answer has a header of CORS", "[service][cors]") {
  proxy service{mock_settings()};
  for (const auto* path : {"/health", "/v1/models", "/nowhere", "/docs", "/metrics", "/redoc"})
    CHECK(cors_headers(ask(service.port(), "GET", path, app, {key_field})).empty());
  for (const bool stream : {false, true}) {
    const auto answer =
        ask(service.port(), "POST", "/v1/chat/completions", app, {key_field}, chat_body("m", stream));
    CHECK(answer.status == 200);
    CHECK(cors_headers(answer).empty());
  }
  CHECK(cors_headers(ask(service.port(), "GET", "/v1/models", app)).empty());
  CHECK(cors_headers(say(service.port(), "GARBAGE\r\n\r\n")).empty());
}

TEST_CASE("cors: ADMIN_PORT is not for browsers", "[service][cors]") {
  auto values = with_app(mock_settings());
  values.admin_port = free_port();
  proxy service{values};
  CHECK(cors_headers(ask(values.admin_port, "GET", "/metrics", app)).empty());
  const auto asked = preflight(values.admin_port, "/metrics", app, "", "GET");
  CHECK(asked.status == 405);
  CHECK(cors_headers(asked).empty());
}

TEST_CASE("cors: with the default key a preflight for a foreign host is refused", "[service][cors][host]") {
  auto values = mock_settings();
  values.internal_api_key = settings{}.internal_api_key;
  values.cors_origins = {"http://localhost:5173", app};
  proxy service{values};
  const auto from = [&](const std::string& host, const std::string& origin) {
    return preflight(service.port(), "/v1/chat/completions", origin, "authorization", "POST",
                     {{"host", host}});
  };
  CHECK(from("localhost:8002", "http://localhost:5173").status == 204);
  for (const auto& refused : {from("evil.example", "http://localhost:5173"), from("localhost", app)}) {
    CHECK(refused.status == 403);
    CHECK(contains(refused.body, "host_not_allowed"));
  }
  CHECK(contains(from("localhost", evil).body, "origin_not_allowed"));
}

TEST_CASE("cors: a list that is changed applies from the next request on", "[service][cors][reload]") {
  auto values = mock_settings();
  proxy service{values};
  CHECK(preflight(service.port(), "/v1/models", app).status == 403);
  service.reconfigure(with_app(values));
  CHECK(preflight(service.port(), "/v1/models", app).status == 204);
  service.reconfigure(values);
  CHECK(preflight(service.port(), "/v1/models", app).status == 403);
  CHECK(cors_headers(ask(service.port(), "GET", "/health", app)).empty());
}

TEST_CASE(
    "program: with the default key an origin of another machine is a fault, since it could not be served",
    "[service][program][cors]") {
  const auto check = [](const environment& more) {
    auto checked = with_argument("check-config", more);
    checked.environment.emplace("LLM_PROXY__LLM_MODE", "mock");
    child_process process{program, checked};
    const auto code = process.wait(long_patience);
    return std::pair{code, process.out() + process.err()};
  };
  const auto [refused, said] = check({{"LLM_PROXY__CORS_ORIGINS", "http://localhost:5173," + app}});
  CHECK(refused == 2);
  CHECK(contains(said, "LLM_PROXY__CORS_ORIGINS: \"" + app + "\" would have no effect"));
  CHECK_FALSE(contains(said, "localhost:5173"));
  CHECK(check({{"LLM_PROXY__CORS_ORIGINS", "http://localhost:5173,http://127.0.0.1:3000"}}).first == 0);
  CHECK(check({{"LLM_PROXY__CORS_ORIGINS", app}, {"LLM_PROXY__INTERNAL_API_KEY", "own"}}).first == 0);
}

}  // namespace llm_proxy::test
