// The whole service in front of a real LiteLLM proxy, whose model provider is the scripted upstream.
#include "support/catch.hpp"
#include "support/running_proxy.hpp"
#include "support/scripted_upstream.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace llm_proxy::test {

namespace {

/// The exit code that ctest shows as "skipped" (SKIP_RETURN_CODE).
constexpr int skipped = 4;
/// The exit code of scripts/litellm.sh on a machine where LiteLLM can't be installed.
constexpr int not_installable = 3;

const std::string script = "'" LLM_PROXY_SOURCE_DIR "/scripts/litellm.sh' ";

/// A running LiteLLM, which is stopped with this object. `options`: more options for `scripts/litellm.sh
/// start`.
class real_litellm {
 public:
  explicit real_litellm(const std::string& options = {}) {
    std::string out;
    auto* pipe = popen((script + "start --upstream " + provider.url("/v1") + " " + options).c_str(), "r");
    if (pipe == nullptr) std::abort();
    std::array<char, 256> line{};
    while (fgets(line.data(), line.size(), pipe) != nullptr) out += line.data();
    const int code = WEXITSTATUS(pclose(pipe));
    if (code == not_installable) {
      std::cerr
          << "\nSKIPPED: no real LiteLLM on this machine (the reason stands above). The recorded answers in "
             "tests/data/litellm took its place in service_tests.\n\n";
      std::_Exit(skipped);
    }
    if (code != 0) {
      std::cerr << "LiteLLM did not start: scripts/litellm.sh ended with " << code << '\n';
      std::_Exit(1);
    }
    pid = value(out, "PID=");
    url = value(out, "URL=");
    key = value(out, "KEY=");
  }
  ~real_litellm() {
    if (std::system((script + "stop --pid " + pid).c_str()) != 0) std::cerr << "LiteLLM was not stopped\n";
  }
  real_litellm(const real_litellm&) = delete;
  real_litellm& operator=(const real_litellm&) = delete;

  scripted_upstream provider;
  std::string pid;
  std::string url;
  std::string key;

 private:
  static std::string value(const std::string& out, const std::string& name) {
    const auto at = out.find(name) + name.size();
    return out.substr(at, out.find('\n', at) - at);
  }
};

/// The LiteLLM that the tests share. A test that needs another configuration starts its own.
real_litellm& litellm_proxy() {
  static real_litellm one;
  return one;
}

settings before_litellm() {
  auto values = litellm_settings(litellm_proxy().url);
  values.litellm_api_key = litellm_proxy().key;
  return values;
}

response ask(std::uint16_t port, std::string_view model, bool stream = false) {
  return request(port, "POST", "/v1/chat/completions",
                 {{"x-internal-auth", std::string{test_key}}, {"content-type", "application/json"}},
                 chat_body(model, stream), milliseconds{30'000});
}

}  // namespace

TEST_CASE("litellm: models are listed and enriched, and are found if their ids have a slash", "[litellm]") {
  proxy service{before_litellm()};
  const header_list key{{"x-internal-auth", std::string{test_key}}};
  const auto list = request(service.port(), "GET", "/v1/llm/models", key, {}, milliseconds{30'000});
  CHECK(list.status == 200);
  CHECK(list.body.find(R"("id":"mock-text")") != std::string::npos);
  CHECK(list.body.find(R"("context_length":8192)") != std::string::npos);
  CHECK(request(service.port(), "GET", "/v1/models/vendor/with/slash", key).status == 200);
}

TEST_CASE("litellm: Claude Code gets models under ids that its picker shows, and can use them", "[litellm]") {
  proxy service{before_litellm()};
  const auto list = request(service.port(), "GET", "/v1/models",
                            {{"x-api-key", std::string{test_key}},
                             {"anthropic-version", "2023-06-01"},
                             {"user-agent", "claude-code/2.1"}},
                            {}, milliseconds{30'000});
  CHECK(list.status == 200);
  const std::string mock_text = "claude-router-6d6f636b2d74657874";
  CHECK(list.body.find("\"id\":\"" + mock_text + "\"") != std::string::npos);
  CHECK(list.body.find(R"("source_model":"mock-text")") != std::string::npos);
  CHECK(ask(service.port(), mock_text).body.find("Hello from the LiteLLM mock.") != std::string::npos);
}

TEST_CASE("litellm: a completion arrives whole", "[litellm]") {
  proxy service{before_litellm()};
  const auto answer = ask(service.port(), "mock-text");
  CHECK(answer.status == 200);
  CHECK(answer.body.find("Hello from the LiteLLM mock.") != std::string::npos);
  CHECK(answer.has("x-litellm-call-id"));
  CHECK_FALSE(answer.has("x-litellm-key-spend"));
  CHECK_FALSE(answer.has("x-litellm-model-api-base"));
}

TEST_CASE("litellm: streams are complete and end with one [DONE]", "[litellm]") {
  proxy service{before_litellm()};
  for (const std::string model : {"mock-text", "up-chat"}) {
    const auto answer = ask(service.port(), model, true);
    CHECK(answer.status == 200);
    CHECK(answer.complete);
    const auto events = sse_events(answer.body);
    REQUIRE(events.size() > 2);
    CHECK(events.back() == "[DONE]");
  }
}

TEST_CASE("litellm: server-timing shows its own share of the time, and spans name the models' provider",
          "[litellm]") {
  scripted_upstream collector{[](const auto&, upstream_reply& reply) { reply.json(200, "{}"); }};
  auto values = before_litellm();
  values.threads = 1;
  values.otel_exporter_otlp_endpoint = collector.url();
  proxy service{values};
  // After this request the service has the model list, which names the providers.
  REQUIRE(request(service.port(), "GET", "/v1/llm/models", {{"x-internal-auth", std::string{test_key}}}, {},
                  milliseconds{30'000})
              .status == 200);
  for (const bool stream : {false, true}) {
    const auto answer = ask(service.port(), "up-chat", stream);
    INFO(answer.header("server-timing"));
    CHECK(answer.header("server-timing").find(", litellm;dur=") != std::string::npos);
  }
  service.drain_connections(milliseconds{1000});
  const auto exported = collector.request_at(0).body;
  INFO(exported);
  CHECK(exported.find(R"({"key":"gen_ai.provider.name","value":{"stringValue":"openai"}})") !=
        std::string::npos);
  CHECK(exported.find(R"({"key":"gen_ai.response.model")") != std::string::npos);
}

TEST_CASE(
    "litellm: agents' requests keep their sessions, and LiteLLM can be configured to refuse one without",
    "[litellm]") {
  const real_litellm strict{"--config '" LLM_PROXY_SOURCE_DIR "/tests/litellm/sessions.yaml'"};
  auto values = litellm_settings(strict.url);
  values.litellm_api_key = strict.key;
  proxy service{values};
  const auto status = [&](header_list headers) {
    headers.emplace_back("x-internal-auth", std::string{test_key});
    headers.emplace_back("content-type", "application/json");
    return request(service.port(), "POST", "/v1/chat/completions", headers, chat_body("mock-text"),
                   milliseconds{30'000})
        .status;
  };
  const std::string id = "e96634a3-fa28-4083-b354-55542e2dca01";
  CHECK(status({}) == 400);
  CHECK(status({{"x-litellm-session-id", id}}) == 200);
  CHECK(status({{"x-litellm-trace-id", id}}) == 200);
  CHECK(status({{"user-agent", "claude-cli/2.0.1 (external, cli)"}, {"x-claude-code-session-id", id}}) ==
        200);
  for (const char* name : {"session-id", "session_id", "thread-id", "conversation_id"})
    CHECK(status({{"user-agent", "codex_cli_rs/0.50.0 (Debian 12; x86_64)"}, {name, id}}) == 200);
  CHECK(status({{"user-agent", "opencode/1.0.0"}, {"X-Session-Id", id}}) == 200);
  CHECK(status({{"x-acme-session-id", id}}) == 200);
  CHECK(status({{"baggage", "user.id=7,session.id=" + id}}) == 200);
}

TEST_CASE("litellm: tool calls keep id, name and arguments, streamed and not", "[litellm]") {
  proxy service{before_litellm()};
  for (const bool stream : {false, true}) {
    const auto answer = ask(service.port(), "up-tools", stream);
    CHECK(answer.status == 200);
    CHECK(answer.complete);
    CHECK(answer.body.find(R"("tool_calls")") != std::string::npos);
    CHECK(answer.body.find(R"("id":"call_)") != std::string::npos);
    CHECK(answer.body.find(R"("arguments")") != std::string::npos);
  }
}

TEST_CASE("litellm: errors keep their meaning", "[litellm]") {
  proxy service{before_litellm()};
  const std::vector<std::pair<std::string, int>> rows{
      {"up-400", 400}, {"up-401", 502}, {"up-403", 403}, {"up-404", 404}, {"up-408", 504},
      {"up-422", 422}, {"up-429", 429}, {"up-500", 502}, {"up-503", 503}, {"no-such-model", 400}};
  for (const auto& [model, status] : rows) {
    INFO(model);
    const auto answer = ask(service.port(), model);
    CHECK(answer.status == status);
    CHECK(answer.header("content-type") == "application/json");
    CHECK(answer.body.find(R"("error")") != std::string::npos);
  }
}

TEST_CASE("litellm: our own wrong key is a 502, never the caller's 401", "[litellm]") {
  auto values = before_litellm();
  values.litellm_api_key = "sk-wrong";
  proxy service{values};
  const auto answer = ask(service.port(), "mock-text");
  CHECK(answer.status == 502);
  CHECK(answer.body.find(R"("code":"upstream_auth")") != std::string::npos);
}

TEST_CASE("litellm: if the provider cuts its stream the client gets an error, not a success", "[litellm]") {
  proxy service{before_litellm()};
  const auto answer = ask(service.port(), "up-cut-stream", true);
  CHECK(answer.status == 200);
  CHECK(answer.body.find(R"("error")") != std::string::npos);
  CHECK(answer.body.find("[DONE]") == std::string::npos);
}

}  // namespace llm_proxy::test
