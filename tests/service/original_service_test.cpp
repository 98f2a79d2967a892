// The tests of the original Python service, applied to this one.
#include "support/catch.hpp"
#include "support/running_proxy.hpp"

#include <string>

namespace llm_proxy::test {

namespace {

const header_list with_key{{"x-internal-auth", std::string{test_key}}, {"content-type", "application/json"}};

response chat(const proxy& service, std::string_view body) {
  return request(service.port(), "POST", "/v1/chat/completions", with_key, std::string{body});
}

}  // namespace

TEST_CASE("original service: health answers without a key", "[service][original]") {
  proxy service{mock_settings()};
  const auto answer = request(service.port(), "GET", "/health");
  CHECK(answer.status == 200);
  CHECK(answer.body == R"({"status":"healthy","service":"llm-proxy","version":"0.1.0"})");
}

TEST_CASE("original service: models is a list of objects with id", "[service][original]") {
  proxy service{mock_settings()};
  const auto answer = request(service.port(), "GET", "/v1/llm/models", with_key);
  CHECK(answer.status == 200);
  CHECK(
      answer.body ==
      R"([{"id":"mock-llm","name":"FakeLLM Echo","provider":"Fake","context_length":4096,"is_available":true}])");
}

TEST_CASE("original service: chat echoes the last user message", "[service][original]") {
  proxy service{mock_settings()};
  const auto answer = chat(service, chat_body("mock-llm", false, "Echo test"));
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.body.find("Mock LLM response: Echo test") != std::string::npos);
}

TEST_CASE("original service: a stream gives its words one by one, then [DONE]", "[service][original]") {
  proxy service{mock_settings()};
  const auto answer = chat(service, chat_body("mock-llm", true, "Echo test"));
  CHECK(answer.status == 200);
  CHECK(answer.complete);
  CHECK(answer.header("content-type").substr(0, 17) == "text/event-stream");
  CHECK(answer.header("cache-control") == "no-cache");
  const auto events = sse_events(answer.body);
  REQUIRE(events.size() == 8);
  CHECK(events.back() == "[DONE]");
  CHECK(events[1].find(R"("content":"Mock")") != std::string::npos);
}

TEST_CASE("original service: missing messages or model is a 422 that names the field",
          "[service][original]") {
  proxy service{mock_settings()};
  const auto no_messages = chat(service, R"({"model":"m"})");
  CHECK(no_messages.status == 422);
  CHECK(no_messages.body.find(R"("param":"messages")") != std::string::npos);
  const auto no_model = chat(service, R"({"messages":[]})");
  CHECK(no_model.status == 422);
  CHECK(no_model.body.find(R"("param":"model")") != std::string::npos);
}

TEST_CASE("original service: a 422 has FastAPI's list of all faulty fields beside the error",
          "[service][original]") {
  proxy service{mock_settings()};
  // The original accepted such texts as numbers and booleans. This service does not.
  const auto lax =
      chat(service, R"({"model":"m","messages":[],"temperature":"0.5","stream":"false","max_tokens":"16"})");
  CHECK(lax.status == 422);
  CHECK(
      lax.body.find(
          R"({"detail":[{"loc":["body","stream"],"msg":"Input should be a valid boolean","type":"bool_type"},)"
          R"({"loc":["body","temperature"],"msg":"Input should be a valid number","type":"float_type"},)"
          R"({"loc":["body","max_tokens"],"msg":"Input should be a valid number","type":"float_type"}],)"
          R"("error":{"message":"'stream' must be a boolean or null")") == 0);
  const auto anthropic = request(service.port(), "POST", "/v1/messages", with_key, R"({"messages":[]})");
  CHECK(anthropic.status == 422);
  CHECK(
      anthropic.body.find(
          R"({"type":"error","detail":[{"loc":["body","model"],"msg":"Field required","type":"missing"}],"error":{)") ==
      0);
}

}  // namespace llm_proxy::test
