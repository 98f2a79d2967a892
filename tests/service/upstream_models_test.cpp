// The model list: LiteLLM's order, its enrichment, and what is served while LiteLLM is down.
#include "support/catch.hpp"
#include "support/keys_file.hpp"
#include "support/upstream_chat.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// Returns a script that answers /v1/models with `list` and /model/info with `info`.
upstream_script lists(std::string list, std::string info, int info_status = 200) {
  return [=](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/v1/models") {
      reply.json(200, list);
    } else if (req.target == "/model/info") {
      reply.json(info_status, info);
    } else {
      reply.json(200, R"({"ok":true})");
    }
  };
}

std::string entry(const std::string& id, const std::string& provider, int context) {
  return R"({"id":")" + id + R"(","name":")" + id + R"(","provider":")" + provider +
         R"(","context_length":)" + std::to_string(context) + R"(,"is_available":true})";
}

}  // namespace

TEST_CASE("models: they come in upstream's order, enriched by /model/info", "[service][upstream][models]") {
  const std::string list =
      R"({"object":"list","data":[{"id":"z/one","created":5,"owned_by":"me","max_input_tokens":1},)"
      R"({"id":"b","context_length":2,"max_input_tokens":3},{"id":"a","max_input_tokens":4},{"id":"c"},)"
      R"({"id":"d","context_length":5},{"id":"e","max_input_tokens":null}]})";
  const std::string info =
      R"({"data":[{"model_name":"z/one","model_info":{"max_input_tokens":9,"litellm_provider":"p"}},)"
      R"({"model_name":"d","model_info":{"max_input_tokens":null,"litellm_provider":"q"}},)"
      R"({"model_name":"unlisted","model_info":{"max_input_tokens":7}},{"model_name":5},7]})";
  scripted_upstream up{lists(list, info)};
  proxy service{litellm_settings(up.url())};
  CHECK(get(service, "/v1/llm/models").body ==
        "[" + entry("z/one", "p", 9) + "," + entry("b", "LiteLLM", 2) + "," + entry("a", "LiteLLM", 4) + "," +
            entry("c", "LiteLLM", 4096) + "," + entry("d", "q", 5) + "," + entry("e", "LiteLLM", 4096) + "]");
  const auto openai = get(service, "/v1/models");
  CHECK(openai.header("content-type") == "application/json");
  CHECK(openai.body.starts_with(
      R"({"object":"list","data":[{"id":"z/one","object":"model","created":5,"owned_by":"me","max_input_tokens":1},{"id":"b",)"));
  for (const auto* path : {"/v1/models/z/one", "/v1/models/z%2Fone", "/v1/models/%7a%2fone?x=1"}) {
    const auto one = get(service, path);
    CHECK(one.status == 200);
    CHECK(one.body == R"({"id":"z/one","object":"model","created":5,"owned_by":"me","max_input_tokens":1})");
  }
  const auto none = get(service, "/v1/models/z");
  CHECK(none.status == 404);
  CHECK(contains(none.body, R"("code":"model_not_found")"));
  // The list is requested once, with our key.
  std::size_t asked = 0;
  for (const auto& req : up.requests()) {
    if (req.target != "/v1/models" || req.has("anthropic-version")) continue;
    ++asked;
    CHECK(req.method == "GET");
    CHECK(req.header("authorization") == "Bearer upstream-key");
    CHECK(req.body.empty());
  }
  CHECK(asked == 1);
}

TEST_CASE("models: mode and sizes are LiteLLM's, from its list or else from /model/info",
          "[service][upstream][models]") {
  const std::string list =
      R"({"data":[{"id":"a","created":1,"owned_by":"o","mode":"chat","max_input_tokens":10,"max_output_tokens":4},)"
      R"({"id":"b","created":2,"owned_by":"o"},{"id":"c","created":3,"owned_by":"o","mode":7,"max_output_tokens":"x"}]})";
  const std::string info =
      R"({"data":[{"model_name":"a","model_info":{"mode":"responses","max_input_tokens":9,"max_output_tokens":8}},)"
      R"({"model_name":"b","model_info":{"mode":"embedding","max_input_tokens":20,"max_output_tokens":5}}]})";
  scripted_upstream up{lists(list, info)};
  proxy service{litellm_settings(up.url())};
  const auto member = [](const std::string& id, int created) {
    return R"({"id":")" + id + R"(","object":"model","created":)" + std::to_string(created) +
           R"(,"owned_by":"o")";
  };
  CHECK(get(service, "/v1/models").body ==
        R"({"object":"list","data":[)" + member("a", 1) +
            R"(,"mode":"chat","max_input_tokens":10,"max_output_tokens":4},)" + member("b", 2) +
            R"(,"mode":"embedding","max_input_tokens":20,"max_output_tokens":5},)" + member("c", 3) + "}]}");
}

TEST_CASE("models: clients of Anthropic's API get its shape, with LiteLLM's own entries if it has them",
          "[service][upstream][models]") {
  const std::string openai = R"({"data":[{"id":"a","created":1700000000},{"id":"b"}]})";
  const std::string anthropic =
      R"({"data":[{"type":"model","id":"claude-x","display_name":"Claude X","created_at":"2025-01-01T00:00:00Z","extra":1},)"
      R"({"type":"model","id":"a","display_name":"A","created_at":"2025-01-01T00:00:00Z"}],"has_more":false})";
  for (const bool has_own : {true, false}) {
    INFO(has_own);
    scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
      const bool as_anthropic = has_own && req.has("anthropic-version");
      reply.json(200, req.target == "/v1/models" ? (as_anthropic ? anthropic : openai) : "{}");
    }};
    const keys_file keys{{{"some", "some-key", R"("models":["a"])"}}};
    auto values = litellm_settings(up.url());
    values.internal_api_keys_file = keys.path();
    values.model_aliases = {{"fast", "a"}};
    proxy service{values};
    const auto ask = [&](const std::string& path, const std::string& key = std::string{test_key}) {
      return request(service.port(), "GET", path, {{"x-api-key", key}, {"anthropic-version", "2023-06-01"}});
    };
    const auto all = ask("/v1/models");
    CHECK(all.status == 200);
    CHECK(contains(all.body, R"("has_more":false)"));
    CHECK(contains(
        all.body,
        R"({"type":"model","id":"fast","display_name":"fast","created_at":"2023-11-14T22:13:20Z",)"));
    if (has_own) {
      CHECK(
          contains(all.body, R"("display_name":"Claude X","created_at":"2025-01-01T00:00:00Z","extra":1})"));
      CHECK(contains(all.body, R"("first_id":"claude-x")"));
    } else {
      CHECK(contains(all.body,
                     R"({"type":"model","id":"a","display_name":"a","created_at":"2023-11-14T22:13:20Z",)"));
    }
    const auto page = ask("/v1/models?limit=1");
    CHECK(contains(page.body, R"("has_more":true)"));
    const auto wrong = ask("/v1/models?limit=0");
    CHECK(wrong.status == 400);
    CHECK(contains(wrong.body, R"({"type":"error","error":{)"));
    CHECK(ask("/v1/models/a").status == 200);
    CHECK(ask("/v1/models/a").body.starts_with(R"({"type":"model","id":"a",)"));
    const auto none = ask("/v1/models/none");
    CHECK(none.status == 404);
    CHECK(contains(none.body, R"({"type":"error","error":{)"));
    // A key that is limited to some models sees only these.
    const auto seen = ask("/v1/models", "some-key").body;
    CHECK(contains(seen, R"("id":"a")"));
    CHECK(contains(seen, R"("id":"fast")"));
    CHECK_FALSE(contains(seen, "claude-x"));
    CHECK_FALSE(contains(seen, R"("id":"b")"));
    CHECK(ask("/v1/models/b", "some-key").status == 404);
    // The lists in the other shapes are the same as always.
    CHECK(
        contains(get(service, "/v1/models").body, R"({"object":"list","data":[{"id":"a","object":"model")"));
    CHECK(ask("/v1/llm/models").body.starts_with(R"([{"id":"a","name":"a","provider":)"));
  }
}

TEST_CASE("models: Claude Code gets the list that LiteLLM makes for it", "[service][upstream][models]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    std::string list = R"({"data":[{"id":"a"}]})";
    if (req.has("anthropic-version")) list = R"({"data":[{"type":"model","id":"a"}]})";
    if (req.header("user-agent").starts_with("claude-code/"))
      list = R"({"data":[{"type":"model","id":"claude-router-61","source_model":"a"}]})";
    reply.json(200, req.target == "/v1/models" ? list : "{}");
  }};
  proxy service{litellm_settings(up.url())};
  const auto ask = [&](const std::pair<std::string, std::string>& client) {
    return request(service.port(), "GET", "/v1/models",
                   {{"x-api-key", std::string{test_key}}, {"anthropic-version", "2023-06-01"}, client})
        .body;
  };
  CHECK(contains(ask({"user-agent", "claude-code/2.1"}), R"({"type":"model","id":"claude-router-61",)"));
  CHECK(contains(ask({"user-agent", "claude-cli/2.1"}), "claude-router-61"));
  CHECK(contains(ask({"x-gateway-client", "claude-code"}), "claude-router-61"));
  CHECK(contains(ask({"user-agent", "curl/8"}), R"([{"type":"model","id":"a"}])"));
}

TEST_CASE("models: if LiteLLM's lists for Anthropic's API fail, all other lists are still served",
          "[service][upstream][models]") {
  for (const bool answers : {true, false}) {
    scripted_upstream up{[&](const upstream_request& req, upstream_reply& reply) {
      if (!req.has("anthropic-version")) {
        reply.json(200, req.target == "/v1/models" ? R"({"data":[{"id":"a"}]})" : "{}");
      } else if (answers) {
        reply.json(500, "{}");
      } else {
        reply.close();
      }
    }};
    proxy service{litellm_settings(up.url())};
    CHECK(contains(get(service, "/v1/models").body, R"("id":"a")"));
    const auto made = request(service.port(), "GET", "/v1/models",
                              {{"x-api-key", std::string{test_key}}, {"anthropic-version", "2023-06-01"}});
    CHECK(made.status == 200);
    CHECK(contains(made.body, R"({"type":"model","id":"a",)"));
  }
}

TEST_CASE("models: a key that is limited to some models sees these, and for it no others exist",
          "[service][upstream][models]") {
  scripted_upstream up{lists(R"({"data":[{"id":"gpt-4o"},{"id":"gpt-5"},{"id":"claude"}]})", "{}")};
  const keys_file keys{{{"some", "some-key", R"("models":["gpt-4*"])"}, {"all", "all-key"}}};
  auto values = litellm_settings(up.url());
  values.internal_api_keys_file = keys.path();
  values.model_aliases = {{"fast", "gpt-4o"}, {"slow", "gpt-5"}};
  proxy service{values};
  const auto ask = [&](const std::string& key, const std::string& path) {
    return request(service.port(), "GET", path, {{"x-api-key", key}});
  };
  for (const std::string path : {"/v1/models", "/v1/llm/models"}) {
    INFO(path);
    const auto seen = ask("some-key", path).body;
    for (const std::string id : {"gpt-4o", "fast"}) CHECK(contains(seen, "\"id\":\"" + id + "\""));
    for (const std::string id : {"gpt-5", "claude", "slow"}) CHECK_FALSE(contains(seen, id));
    for (const std::string id : {"gpt-4o", "gpt-5", "claude", "fast", "slow"})
      CHECK(contains(ask("all-key", path).body, "\"id\":\"" + id + "\""));
  }
  CHECK(ask("some-key", "/v1/models/gpt-4o").status == 200);
  CHECK(ask("some-key", "/v1/models/fast").status == 200);
  CHECK(ask("all-key", "/v1/models/gpt-5").status == 200);
  const auto hidden = ask("some-key", "/v1/models/gpt-5");
  CHECK(hidden.status == 404);
  // The answer is the same as for a model that does not exist.
  auto missing = ask("some-key", "/v1/models/gpt-6").body;
  missing.replace(missing.find("gpt-6"), 5, "gpt-5");
  CHECK(hidden.body == missing);
}

TEST_CASE("models: if /model/info is forbidden, broken or gone only the enrichment is missing",
          "[service][upstream][models]") {
  const std::string list = R"({"data":[{"id":"a","max_input_tokens":4}]})";
  for (const int status : {403, 404, 500, 200}) {
    scripted_upstream up{
        lists(list, status == 200 ? R"({"data":[)" : R"({"error":{"message":"no"}})", status)};
    proxy service{litellm_settings(up.url())};
    CHECK(get(service, "/v1/llm/models").body == "[" + entry("a", "LiteLLM", 4) + "]");
  }
  scripted_upstream cut{[&](const upstream_request& req, upstream_reply& reply) {
    if (req.target == "/v1/models") {
      reply.json(200, list);
    } else {
      reply.close();
    }
  }};
  proxy service{litellm_settings(cut.url())};
  CHECK(get(service, "/v1/llm/models").body == "[" + entry("a", "LiteLLM", 4) + "]");
}

TEST_CASE("models: the list is kept and served while upstream is down", "[service][upstream][models]") {
  scripted_upstream up{lists(R"({"data":[{"id":"a"}]})", "{}")};
  proxy service{litellm_settings(up.url())};
  REQUIRE(get(service, "/v1/llm/models").status == 200);
  const auto asked = up.request_count();
  for (int i = 0; i < 4; ++i) CHECK(get(service, "/v1/models").status == 200);
  CHECK(up.request_count() == asked);
  up.stop();
  for (const auto* path : {"/v1/llm/models", "/v1/models", "/v1/models/a"}) {
    CHECK(get(service, path).status == 200);
  }
}

TEST_CASE("models: if there has never been a list the client gets upstream's failure",
          "[service][upstream][models]") {
  const auto plain = [](int status, std::string body) {
    return [=](const upstream_request&, upstream_reply& reply) { reply.json(status, body); };
  };
  struct row {
    upstream_script script;
    std::string code;
  };
  scripted_upstream other{plain(500, "{}")};
  proxy alone{litellm_settings(other.url())};
  for (const auto& [script, code] : std::vector<row>{
           {plain(500, "{}"), "upstream_error"},
           {plain(503, "{}"), "upstream_error"},
           {plain(401, "{}"), "upstream_auth"},
           {plain(400, R"({"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}})"),
            "upstream_auth"},
           {plain(200, "<html>"), "upstream_invalid_response"},
           {plain(200, "{}"), "upstream_invalid_response"},
           {plain(302, "{}"), "upstream_error"},
           {[](const upstream_request&, upstream_reply& reply) { reply.close(); },
            "upstream_disconnected"}}) {
    other.set_script(script);
    (void)get(alone, "/v1/models");  // may be the result of a fetch from the previous script
    const auto answer = get(alone, "/v1/models");
    INFO(code);
    CHECK(answer.status == 502);
    CHECK(contains(answer.body, "\"code\":\"" + code + "\""));
  }
  // When upstream works again the list is served.
  other.set_script(lists(R"({"data":[{"id":"a"}]})", "{}"));
  CHECK(get(alone, "/v1/models/a").status == 200);
}

TEST_CASE("models: the service starts and serves while upstream is down", "[service][upstream][models]") {
  std::uint16_t port = 0;
  {
    refused_port nobody;
    port = nobody.port();
  }
  proxy service{litellm_settings("http://127.0.0.1:" + std::to_string(port))};
  CHECK(request(service.port(), "GET", "/health").status == 200);
  CHECK(get(service, "/v1/models").status == 502);
  CHECK(chat(service, chat_body("m")).status == 502);
  scripted_upstream::options how;
  how.port = port;
  scripted_upstream up{lists(R"({"data":[{"id":"a"}]})", "{}"), how};
  CHECK(chat(service, chat_body("m")).status == 200);
  CHECK(get(service, "/v1/models/a").status == 200);
}

TEST_CASE("models: a list that does not come neither delays a chat nor takes its place",
          "[service][upstream][models]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (!is_chat(req)) return reply.hang();
    reply.json(200, R"({"ok":true})");
  }};
  auto values = litellm_settings(up.url());
  values.threads = 1;
  values.adapter_max_concurrent = 1;
  proxy service{values};
  REQUIRE(up.wait_for_requests(1));
  const auto begun = test_clock::now();
  CHECK(chat(service, chat_body("")).status == 200);
  CHECK(chat(service, chat_body("unknown/model")).status == 200);
  CHECK(test_clock::now() - begun < 2s);
}

}  // namespace llm_proxy::test
