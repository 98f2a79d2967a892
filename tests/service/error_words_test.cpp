// Errors that upstream names by a word instead of a status: as a stream's first event, or inside a 200. The
// client needs the right status, because an SDK tries again after every 408, 409, 429 and 5xx unless
// x-should-retry forbids it.
#include "support/catch.hpp"
#include "support/upstream_chat.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

struct way_in {
  std::string path;
  std::string body;  // the percent sign is replaced by true or false
  bool is_anthropic = false;
};

const std::vector<way_in> ways_in{
    {"/v1/chat/completions", R"({"model":"m","messages":[],"stream":%})"},
    {"/v1/responses", R"({"model":"m","input":"i","stream":%})"},
    {"/v1/messages", R"({"model":"m","messages":[],"max_tokens":1,"stream":%})", true}};

response ask(const proxy& service, const way_in& way, bool streamed) {
  auto body = way.body;
  body.replace(body.find('%'), 1, streamed ? "true" : "false");
  return request(service.port(), "POST", way.path, {key_field}, body);
}

struct meant {
  std::string word;
  int status;
  bool retryable;
};

const std::vector<meant> words{{"overloaded_error", 529, true},       {"invalid_request_error", 400, false},
                               {"insufficient_quota", 429, false},    {"context_length_exceeded", 400, false},
                               {"rate_limit_exceeded", 429, true},    {"authentication_error", 502, false},
                               {"model_not_found", 404, false},       {"server_error", 502, true},
                               {"budget_exceeded", 429, false},       {"RESOURCE_EXHAUSTED", 429, true},
                               {"INVALID_ARGUMENT", 400, false},      {"key_model_access_denied", 403, false},
                               {"no_db_connection", 502, false},      {"timeout_error", 504, true},
                               {"nobody_knows_this_word", 502, true}, {"billing_error", 402, false}};

/// Returns errors with this word, one of each shape that upstreams use.
std::vector<std::string> shapes(const std::string& word) {
  return {R"({"type":"error","error":{"type":")" + word + R"(","message":"told so"}})",
          R"({"error":{"type":")" + word + R"(","message":"told so"}})",
          R"({"error":{"message":"told so","code":null,"type":")" + word + R"("}})",
          R"({"error":{"error":{"type":")" + word + R"(","message":"told so"}}})",
          R"({"object":"error","type":")" + word + R"(","message":"told so"})"};
}

void check_meaning(const response& answer, const meant& each, bool is_anthropic) {
  CHECK(answer.status == each.status);
  CHECK(answer.header("x-should-retry") == (each.retryable ? "true" : "false"));
  CHECK(answer.header("content-type") == "application/json");
  CHECK(contains(answer.body, R"("error":{)"));
  CHECK(answer.body.find(R"({"type":"error","error":{)") == (is_anthropic ? 0 : std::string::npos));
  const bool our_key = each.word == "authentication_error" || each.word == "no_db_connection";
  CHECK(contains(answer.body, our_key ? "upstream_auth" : "told so"));
}

}  // namespace

TEST_CASE("error words: in a stream's first event they decide status and retry advice, in the route's shape",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& each : words) {
    for (const auto& data : shapes(each.word)) {
      for (const std::string name : {"", "event: error\n"}) {
        const bool flat = contains(data, R"("object")");
        if (flat && name.empty()) continue;  // this shape is an error only in an event named "error"
        up.set_script(streams(name + "data: " + data + "\n\n", 1000));
        for (const auto& way : ways_in) {
          INFO(way.path << ' ' << name << data);
          up.clear_requests();
          check_meaning(ask(service, way, true), each, way.is_anthropic);
          CHECK(chats_of(up).size() == 1);
        }
      }
    }
  }
}

TEST_CASE("error words: inside a 200 they decide status and retry advice, in the route's shape",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  for (const auto& each : words) {
    for (const auto& data : shapes(each.word)) {
      up.set_script(chats([data](const auto&, upstream_reply& reply) { reply.json(200, data); }));
      for (const auto& way : ways_in) {
        INFO(way.path << ' ' << data);
        check_meaning(ask(service, way, false), each, way.is_anthropic);
      }
    }
  }
}

TEST_CASE("error words: a flat error of the Responses API, plain text and a bare object are understood",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  const auto first_event = [&](const std::string& data, const way_in& way) {
    up.set_script(streams("event: error\ndata: " + data + "\n\n", 1000));
    return ask(service, way, true);
  };
  for (const auto& way : ways_in) {
    INFO(way.path);
    const auto flat = first_event(
        R"({"type":"error","code":"rate_limit_exceeded","message":"told so","sequence_number":0})", way);
    check_meaning(flat, {"", 429, true}, way.is_anthropic);
    CHECK(contains(flat.body, R"("code":"rate_limit_exceeded")"));
    const auto text = first_event("Overloaded", way);
    CHECK(text.status == 503);
    CHECK(contains(text.body, R"("message":"Overloaded")"));
    CHECK(first_event(R"({"code":"insufficient_quota","message":"told so"})", way).status == 429);
    CHECK(first_event(R"({"error":"insufficient_quota"})", way).header("x-should-retry") == "false");
  }
}

TEST_CASE("error words: with ERROR_STYLE=raw the bytes stay, and status and retry advice are the same",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  auto values = litellm_settings(up.url());
  values.error_style = error_style::raw;
  proxy service{values};
  for (const auto& each : words) {
    if (each.status == 502 && !each.retryable)
      continue;  // upstream refused our own key: its text is not shown
    for (const auto& data : shapes(each.word)) {
      INFO(data);
      up.set_script(streams("event: error\ndata: " + data + "\n\n", 1000));
      for (const auto& way : ways_in) {
        const auto answer = ask(service, way, true);
        CHECK(answer.status == each.status);
        CHECK(answer.header("x-should-retry") == (each.retryable ? "true" : "false"));
        CHECK(answer.body == data);
      }
    }
  }
}

TEST_CASE("error words: LiteLLM's internals are hidden from clients, and a spent budget is not retryable",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  struct row {
    int upstream;
    std::string message;
    int status;
    bool retryable;
    std::string said;
  };
  const std::vector<row> rows{
      {429,
       "litellm.RateLimitError: OpenAIException - slowNo fallback model group found for lookup_groups=inner.",
       429, true, "litellm.RateLimitError: OpenAIException - slow"},
      {404,
       "litellm.NotFoundError: No fallback model group found for original model_group=inner. Fallbacks=[{}]",
       404, false, "The model gateway found no such model or object."},
      {429,
       "No deployments available for selected model, Try again in 7 seconds. Passed model=inner. "
       "pre-call-checks=False, cooldown_list=['inner']",
       429, true, "No deployments available for selected model, Try again in 7 seconds."},
      {429, "litellm.RateLimitError: Deployments={'inner': {'tpm': 1}}", 429, true,
       "The model gateway is at a rate limit."},
      {429, "No deployments available - crossed budget: Exceeded budget for deployment model_name: inner",
       429, false, "A budget of the model gateway is spent."},
      {400, "Exceeded budget for provider inner: 2 >= 1, try again in 7 seconds", 429, false,
       "A budget of the model gateway is spent."}};
  for (const auto& each : rows) {
    for (const bool inside : {false, true}) {
      INFO(each.message << (inside ? " inside a 200" : ""));
      up.set_script(chats([&](const auto&, upstream_reply& reply) {
        reply.json(inside ? 200 : each.upstream,
                   R"({"error":{"message":")" + each.message + R"(","type":"None","param":"None","code":")" +
                       std::to_string(each.upstream) + "\"}}",
                   {{"x-should-retry", "true"}});
      }));
      for (const auto& way : ways_in) {
        const auto answer = ask(service, way, false);
        CHECK(answer.status == each.status);
        CHECK(answer.header("x-should-retry") == (each.retryable || each.status == 404 ? "true" : "false"));
        CHECK(contains(answer.body, R"("message":")" + each.said + "\""));
        CHECK_FALSE(contains(answer.body, "inner"));
        if (contains(each.said, "budget")) {
          CHECK(contains(answer.body, R"("code":"budget_exceeded")"));
          CHECK_FALSE(answer.has("retry-after"));
        }
      }
    }
  }
}

TEST_CASE("error words: an error inside an array keeps its message, and JSON other than an object is a 502",
          "[service][upstream][error_words]") {
  scripted_upstream up;
  proxy service{litellm_settings(up.url())};
  up.set_script(chats([](const auto&, upstream_reply& reply) {
    reply.json(400, R"([{"error":{"code":400,"message":"told so","status":"INVALID_ARGUMENT"}}])");
  }));
  for (const auto& way : ways_in) check_meaning(ask(service, way, false), {"", 400, false}, way.is_anthropic);
  for (const std::string body : {"null", "[]", "\"text\"", "1", "true"}) {
    up.set_script(chats([body](const auto&, upstream_reply& reply) { reply.json(200, body); }));
    for (const auto& way : ways_in) {
      INFO(way.path << ' ' << body);
      const auto answer = ask(service, way, false);
      CHECK(answer.status == 502);
      CHECK(contains(answer.body, "upstream_invalid_response"));
    }
  }
}

}  // namespace llm_proxy::test
