// What the upstream gets: the client's body byte for byte, the headers of the allow-list, our own key.
#include "support/catch.hpp"
#include "support/keys_file.hpp"
#include "support/upstream_chat.hpp"

#include <set>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

upstream_script answers_ok() {
  return chats([](const auto&, auto& reply) { reply.json(200, R"({"ok":true})"); });
}

std::set<std::string> names_of(const header_list& headers) {
  std::set<std::string> names;
  for (auto [name, value] : headers) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    names.insert(name);
  }
  return names;
}

std::string tool_schemas(std::size_t bytes) {
  std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[)";
  for (int i = 0; body.size() < bytes; ++i) {
    if (i > 0) body += ", ";
    body +=
        R"({"type":"function","function":{"name":"tool_)" + std::to_string(i) +
        R"(","parameters":{"type":"object","properties":{"a":{"type":"number","minimum":1.0,"enum":[1e-7,-0]}}}}})";
  }
  return body + "]}";
}

}  // namespace

TEST_CASE("request: the body goes upstream byte for byte", "[service][upstream][fidelity]") {
  scripted_upstream up{answers_ok()};
  proxy service{litellm_settings(up.url())};
  const std::vector<std::string> bodies{
      R"({"model":"m","messages":[],"temperature":1.0,"a":1e-7,"b":9007199254740993,"c":-0,"d":-0.0,"e":1E+2,"f":1e400,"g":0.1000})",
      R"({"model":"x","messages":[1],"x":1,"x":2,"model":"m","messages":[],"x":null})",
      R"({"\u006dodel":"m","messages":[{"role":"user","content":"\u00e9\ud800\/\u0000\ud83d\ude00\b"}],"n":null})",
      " {\t\"messages\" :\r\n[ ] ,\"model\":\"a/b:c\"  , \"unknown\":{\"deep\":[[[{}]]]},\"stream\" : false "
      "} \n",
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"gr\xC3\xBC\xC3\x9F "
      "\xF0\x9F\x98\x80\"}]}",
      tool_schemas(300'000),
      chat_body("m", false, std::string(8'000'000, 'a')),
  };
  for (const auto& body : bodies) {
    INFO(body.substr(0, 120));
    up.clear_requests();
    CHECK(chat(service, body).status == 200);
    REQUIRE(chats_of(up).size() == 1);
    CHECK(
        (chats_of(up).back().body == body));  // the extra parentheses keep a failure from printing megabytes
    CHECK(chats_of(up).back().header("content-length") == std::to_string(body.size()));
  }
}

TEST_CASE("request: a chunked body goes upstream whole", "[service][upstream][fidelity]") {
  scripted_upstream up{answers_ok()};
  proxy service{litellm_settings(up.url())};
  const auto body = chat_body("m");
  raw_connection client{service.port()};
  REQUIRE(client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-internal-auth: " + std::string{test_key} +
      "\r\ntransfer-encoding: chunked\r\n\r\n5;ext=1\r\n" + body.substr(0, 5) + "\r\n"));
  char size[16];
  std::snprintf(size, sizeof size, "%zx", body.size() - 5);
  REQUIRE(client.send(std::string{size} + "\r\n" + body.substr(5) + "\r\n0\r\nx-trailer: 1\r\n\r\n"));
  CHECK(read_response(client, milliseconds{5000}).status == 200);
  const auto got = wait_for_chat(up);
  CHECK(got.body == body);
  CHECK_FALSE(got.has("transfer-encoding"));
}

TEST_CASE("request: an empty model becomes the default one, and nothing else changes",
          "[service][upstream][fidelity]") {
  scripted_upstream up{answers_ok()};
  auto values = litellm_settings(up.url());
  values.default_model = "a/\"b\\";
  proxy service{values};
  const std::string name = R"("a/\"b\\")";
  const std::vector<std::pair<std::string, std::string>> rows{
      {R"({"messages":[], "model" : "" ,"a":1.0})", R"({"messages":[], "model" : )" + name + R"( ,"a":1.0})"},
      {R"({"model":"x","messages":[],"model":""})", R"({"model":"x","messages":[],"model":)" + name + "}"},
      {R"({"\u006dodel":"","messages":[]})", R"({"\u006dodel":)" + name + R"(,"messages":[]})"},
      {R"({"model":"","model":"x","messages":[]})", R"({"model":"","model":"x","messages":[]})"},
      {R"({"model":" ","messages":[]})", R"({"model":" ","messages":[]})"},
  };
  for (const auto& [sent, wanted] : rows) {
    up.clear_requests();
    CHECK(chat(service, sent).status == 200);
    CHECK(wait_for_chat(up).body == wanted);
  }
}

TEST_CASE("request: only the headers of the allow-list go upstream", "[service][upstream][headers]") {
  scripted_upstream up{answers_ok()};
  auto values = litellm_settings(up.url());
  values.forward_headers = {"x-team"};
  proxy service{values};
  const header_list wanted{{"accept", "application/json"},
                           {"Content-Type", "application/json; charset=utf-8"},
                           {"user-agent", "OpenAI/Python 1.2"},
                           {"traceparent", "00-1-2-01"},
                           {"tracestate", "a=b"},
                           {"openai-organization", "o"},
                           {"openai-project", "p"},
                           {"openai-beta", "b"},
                           {"anthropic-version", "2023-06-01"},
                           {"anthropic-beta", "x"},
                           {"idempotency-key", "k"},
                           {"x-stainless-os", "Linux"},
                           {"X-Stainless-Retry-Count", "0"},
                           {"x-litellm-timeout", "3"},
                           {"x-litellm-stream-timeout", "4"},
                           {"x-litellm-num-retries", "1"},
                           {"x-litellm-tags", "a,b"},
                           {"x-litellm-end-user-id", "e"},
                           {"x-litellm-customer-id", "c"},
                           {"x-litellm-spend-logs-metadata", "{}"},
                           {"x-litellm-enable-message-redaction", "true"},
                           {"x-litellm-trace-id", "t-1"},
                           {"X-LiteLLM-Session-Id", "s-1"},
                           {"x-litellm-agent-id", "a-1"},
                           {"x-litellm-call-id", "c-1"},
                           {"X-Session-Id", "o-1"},
                           {"session-id", "cs-1"},
                           {"session_id", "cs-2"},
                           {"thread-id", "ct-1"},
                           {"conversation_id", "cc-1"},
                           {"x-codex-turn-metadata", R"({"turn_id":"1"})"},
                           {"x-claude-code-session-id", "e96634a3-fa28-4083-b354-55542e2dca01"},
                           {"x-acme-session-id", "v-1"},
                           {"X-Team", "blue"}};
  header_list sent = wanted;
  for (const auto* name :
       {"authorization",     "x-api-key",         "api-key",       "cookie", "proxy-authorization",
        "x-forwarded-for",   "forwarded",         "x-real-ip",     "te",     "upgrade-insecure-requests",
        "x-litellm-api-key", "x-litellm-unknown", "referer",       "origin", "x-stainles",
        "x-teams",           "accept-language",   "if-none-match", "range",  "via"}) {
    sent.emplace_back(name, "secret-of-the-client");
  }
  for (const auto* name :
       {"x-litellm-model", "x-litellm-team-id", "x-litellm-user-id", "x-litellm-disable-callbacks",
        "x-litellm-cli-poll-secret", "x-litellm-mcp-debug", "x-litellm-keepalive-seconds",
        "x-litellm-mcp-session-id", "x-user-session-id", "x-claude-api-key"}) {
    sent.emplace_back(name, "secret-of-the-client");
  }
  sent.emplace_back("x-other-session-id", "no session: secret-of-the-client");
  sent.emplace_back("baggage", "user.id=secret-of-the-client, session.id=b-1;p=secret-of-the-client");
  CHECK(chat(service, chat_body("m"), sent).status == 200);
  const auto got = wait_for_chat(up);
  CHECK(got.all("baggage") == std::vector<std::string>{"session.id=b-1"});
  for (const auto& [name, value] : wanted) {
    INFO(name);
    CHECK(got.all(name) == std::vector<std::string>{value});
  }
  auto names = names_of(wanted);
  names.insert({"baggage", "host", "authorization", "x-request-id", "accept-encoding", "content-length"});
  CHECK(names_of(got.headers) == names);
  CHECK_FALSE(contains(got.head, "secret-of-the-client"));
  CHECK_FALSE(contains(got.head, test_key));
  CHECK(got.header("authorization") == "Bearer upstream-key");
}

TEST_CASE("request: Codex gets the header back that it must send with its next request",
          "[service][upstream][headers]") {
  scripted_upstream up{chats([](const auto&, auto& reply) {
    reply.json(200, R"({"ok":true})", {{"x-codex-turn-state", "abc"}, {"x-claude-a", "1"}});
  })};
  proxy service{litellm_settings(up.url())};
  const auto answer = chat(service, chat_body("m"));
  CHECK(answer.header("x-codex-turn-state") == "abc");
  CHECK_FALSE(answer.has("x-claude-a"));
}

TEST_CASE("request: LiteLLM is told the name of the client's key, as CALLER_TO_LITELLM says",
          "[service][upstream][headers]") {
  using names = std::vector<std::string>;
  const keys_file file{{{"team-a", "key-a"}}};
  scripted_upstream up{answers_ok()};
  const header_list claims{{"content-type", "application/json"},    {"x-litellm-end-user-id", "e"},
                           {"x-litellm-customer-id", "c"},          {"x-litellm-tags", "t"},
                           {"x-litellm-spend-logs-metadata", "{}"}, {"x-forwarded-for", "203.0.113.9"}};
  const std::string body = R"({"model":"m","messages":[],"user":"u","metadata":{"tags":["x"]}})";
  for (const auto mode : {caller_to_litellm::off, caller_to_litellm::end_user, caller_to_litellm::tag}) {
    auto values = litellm_settings(up.url());
    values.internal_api_keys_file = file.path();
    values.caller_to_litellm = mode;
    proxy service{values};
    const auto ask = [&](std::string_view key, header_list headers) {
      up.clear_requests();
      headers.emplace_back("x-internal-auth", std::string{key});
      CHECK(request(service.port(), "POST", "/v1/chat/completions", headers, body).status == 200);
      const auto got = wait_for_chat(up);
      CHECK(got.body == body);
      const bool is_off = mode == caller_to_litellm::off;
      CHECK(got.all("x-forwarded-for") == (is_off ? names{} : names{"127.0.0.1"}));
      return got;
    };
    for (const auto& headers : {claims, header_list{{"content-type", "application/json"}}}) {
      const bool claimed = headers.size() > 1;
      const auto when = [&](bool passes, const char* value) {
        return claimed && passes ? names{value} : names{};
      };
      const auto theirs = ask("key-a", headers);
      const bool is_off = mode == caller_to_litellm::off;
      const bool is_user = mode == caller_to_litellm::end_user;
      const bool is_tag = mode == caller_to_litellm::tag;
      CHECK(theirs.all("x-litellm-end-user-id") == (is_user ? names{"team-a"} : when(is_off, "e")));
      CHECK(theirs.all("x-litellm-customer-id") == when(is_off, "c"));
      CHECK(theirs.all("x-litellm-tags") == (is_tag ? names{"team-a"} : when(is_off, "t")));
      CHECK(theirs.all("x-litellm-spend-logs-metadata") == when(is_off, "{}"));
      const auto own = ask(test_key, headers);
      CHECK(own.all("x-litellm-end-user-id") == (is_user && !claimed ? names{"default"} : when(true, "e")));
      CHECK(own.all("x-litellm-customer-id") == when(true, "c"));
      CHECK(own.all("x-litellm-tags") ==
            (is_tag ? names{claimed ? "t,default" : "default"} : when(true, "t")));
      CHECK(own.all("x-litellm-spend-logs-metadata") == when(true, "{}"));
    }
  }
}

TEST_CASE("request: a client's bearer key and x-api-key are replaced by our key, or removed if we have none",
          "[service][upstream][headers]") {
  scripted_upstream up{answers_ok()};
  for (const bool with_key : {true, false}) {
    auto values = litellm_settings(up.url());
    if (!with_key) values.litellm_api_key.clear();
    proxy service{values};
    for (const header_list& key : {header_list{{"Authorization", "bearer " + std::string{test_key}}},
                                   header_list{{"x-api-key", std::string{test_key}}}}) {
      up.clear_requests();
      REQUIRE(request(service.port(), "POST", "/v1/chat/completions", key, chat_body("m")).status == 200);
      const auto got = wait_for_chat(up);
      CHECK(got.all("authorization") ==
            (with_key ? std::vector<std::string>{"Bearer upstream-key"} : std::vector<std::string>{}));
      CHECK_FALSE(contains(got.head, test_key));
    }
  }
}

TEST_CASE("request: its id on both sides is the client's if that is valid, or else a new one",
          "[service][upstream][headers]") {
  scripted_upstream up{answers_ok()};
  proxy service{litellm_settings(up.url())};
  for (const auto& [given, kept] : {std::pair<std::string, bool>{"my-id.1", true},
                                    {std::string(500, 'a'), false},
                                    {"a b", false},
                                    {"", false}}) {
    INFO(given);
    up.clear_requests();
    const auto answer = chat(service, chat_body("m"), {{"x-request-id", given}});
    const auto id = wait_for_chat(up).header("x-request-id");
    CHECK(answer.all("x-request-id") == std::vector<std::string>{id});
    CHECK(id.empty() == false);
    CHECK((id == given) == kept);
  }
}

TEST_CASE("request: accept-encoding is the client's, but identity for streams and if the client sends none",
          "[service][upstream][headers]") {
  scripted_upstream up{chats([](const upstream_request& req, upstream_reply& reply) {
    if (req.is_true("stream")) {
      reply.sse({stop, "[DONE]"});
    } else {
      reply.json(200, R"({"ok":true})");
    }
  })};
  proxy service{litellm_settings(up.url())};
  const auto asked = [&](bool stream, const header_list& more) {
    up.clear_requests();
    CHECK(chat(service, chat_body("m", stream), more).status == 200);
    return wait_for_chat(up).all("accept-encoding");
  };
  using values = std::vector<std::string>;
  CHECK(asked(false, {}) == values{"identity"});
  CHECK(asked(false, {{"accept-encoding", "gzip, br"}}) == values{"gzip, br"});
  CHECK(asked(true, {{"accept-encoding", "gzip, br"}}) == values{"identity"});
  CHECK(asked(true, {}) == values{"identity"});
}

TEST_CASE("request: the host is upstream's, and a path in its URL is a prefix, without a slash at its end",
          "[service][upstream][headers]") {
  scripted_upstream up{answers_ok()};
  for (const auto& [path, target] : {std::pair<std::string, std::string>{"", "/v1/chat/completions"},
                                     {"/", "/v1/chat/completions"},
                                     {"/llm", "/llm/v1/chat/completions"},
                                     {"/a/b/", "/a/b/v1/chat/completions"}}) {
    INFO(path);
    proxy service{litellm_settings(up.url(path))};
    up.clear_requests();
    CHECK(chat(service, chat_body("m"), {{"host", "proxy.example"}}).status == 200);
    const auto got = wait_for_chat(up);
    CHECK(got.target == target);
    CHECK(got.all("host") == std::vector<std::string>{"127.0.0.1:" + std::to_string(up.port())});
  }
}

}  // namespace llm_proxy::test
