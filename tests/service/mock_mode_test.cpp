// Mock mode, as an OpenAI client sees it.
#include "support/raw_requests.hpp"

#include <string>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

response get(const proxy& service, std::string_view target) {
  return request(service.port(), "GET", target, with_key);
}

const std::string mock_model = R"({"id":"mock-llm","object":"model","created":)";

/// A request that offers the tool `weather` and asks for it.
std::string tool_request(bool stream) {
  return R"({"model":"m","messages":[{"role":"user","content":"please call weather"}],)"
         R"("tools":[{"type":"function","function":{"name":"time"}},)"
         R"({"type":"function","function":{"name":"weather","parameters":{}}}])" +
         std::string{stream ? R"(,"stream":true})" : "}"};
}

/// The text of each delta's `"member":"…"`.
std::string joined(const std::vector<std::string>& events, const std::string& member) {
  std::string all;
  const auto wanted = "\"" + member + "\":\"";
  for (const auto& event : events) {
    const auto at = event.find(wanted);
    if (at == std::string::npos) continue;
    for (auto i = at + wanted.size(); event[i] != '"'; ++i) {
      if (event[i] == '\\') ++i;  // only escaped quotes are in these tests
      all += event[i];
    }
  }
  return all;
}

}  // namespace

TEST_CASE("mock: its one model is listed on all three paths", "[service][mock]") {
  proxy service{mock_settings()};
  CHECK(get(service, "/v1/llm/models").body == R"([{"id":"mock-llm","name":"FakeLLM Echo","provider":"Fake",)"
                                               R"("context_length":4096,"is_available":true}])");
  const auto list = get(service, "/v1/models");
  CHECK(list.status == 200);
  CHECK(list.body.find(R"({"object":"list","data":[)" + mock_model) == 0);
  const auto one = get(service, "/v1/models/mock-llm");
  CHECK(one.status == 200);
  CHECK(one.body.find(mock_model) == 0);
  CHECK(get(service, "/v1/models/%6Dock%2dllm").status == 200);
}

TEST_CASE("mock: an unknown model id is a 404 that names it decoded", "[service][mock]") {
  proxy service{mock_settings()};
  const auto unknown = get(service, "/v1/models/vendor/some%20model%2F1?x=y");
  CHECK(unknown.status == 404);
  CHECK(unknown.body == R"({"error":{"message":"The model 'vendor/some model/1' does not exist.",)"
                        R"("type":"invalid_request_error","param":"model","code":"model_not_found"}})");
  for (const auto* odd :
       {"/v1/models/%", "/v1/models/%4", "/v1/models/%zz", "/v1/models/%00", "/v1/models/%ff"}) {
    INFO(odd);
    CHECK(get(service, odd).status == 404);
  }
}

TEST_CASE("mock: any model name is answered with the last user message", "[service][mock]") {
  proxy service{mock_settings()};
  const auto answer =
      chat(service, R"({"model":"some/model \u00e4","messages":[{"role":"user","content":"first"},)"
                    R"({"role":"assistant","content":"x"},{"role":"user","content":[)"
                    R"({"type":"text","text":"second"}]},{"role":"assistant","content":null}]})");
  CHECK(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.body.find(R"({"id":"chatcmpl-)") == 0);
  CHECK(holds(answer.body, R"("object":"chat.completion","created":)"));
  CHECK(holds(answer.body, "\"model\":\"some/model \xc3\xa4\""));
  CHECK(holds(answer.body, R"("message":{"role":"assistant","content":"Mock LLM response: second"})"));
  CHECK(holds(answer.body, R"("finish_reason":"stop")"));
  CHECK(holds(answer.body, R"("total_tokens":)"));
}

TEST_CASE("mock: an empty model stands for the default one", "[service][mock]") {
  auto values = mock_settings();
  values.default_model = "the \"default\"";
  proxy service{values};
  CHECK(holds(chat(service, chat_body("")).body, R"("model":"the \"default\"")"));
  const auto stream = chat(service, R"({ "messages":[], "model" : "" ,"stream":true,"model":""})");
  CHECK(stream.status == 200);
  for (const auto& event : sse_events(stream.body)) {
    if (event != "[DONE]") CHECK(holds(event, R"("model":"the \"default\"")"));
  }
}

TEST_CASE("mock: a stream is the role, then word by word, then the reason, then [DONE]", "[service][mock]") {
  proxy service{mock_settings()};
  const auto answer = chat(service, chat_body("m", true, "one  two"));
  CHECK(answer.complete);
  CHECK(answer.chunked);
  CHECK(answer.header("content-type").find("text/event-stream") == 0);
  CHECK(answer.header("cache-control") == "no-cache");
  CHECK(answer.header("x-accel-buffering") == "no");
  CHECK_FALSE(answer.header("x-request-id").empty());
  const auto events = sse_events(answer.body);
  REQUIRE(events.size() == 8);
  CHECK(holds(events[0], R"("delta":{"role":"assistant")"));
  CHECK(joined(events, "content") == "Mock LLM response: one  two");
  CHECK(holds(events[1], R"("delta":{"content":"Mock"})"));
  CHECK(holds(events[6], R"("delta":{},"logprobs":null,"finish_reason":"stop")"));
  CHECK(events[7] == "[DONE]");
  CHECK_FALSE(holds(answer.body, "usage"));
}

TEST_CASE("mock: words come at their pace, not all at the end", "[service][mock]") {
  auto values = mock_settings();
  values.mock_chunk_delay_ms = 60ms;
  proxy service{values};
  raw_connection client{service.port()};
  REQUIRE(client.send(chat_bytes(chat_body("m", true, "a b c"))));
  event_stream stream{client};
  REQUIRE(stream.open(patience));
  const auto events = stream.rest(patience);
  REQUIRE(events.size() == 9);
  for (std::size_t i = 2; i <= 6; ++i) CHECK(events[i].at - events[i - 1].at > 30ms);
  CHECK(events[6].at - events[1].at >= 290ms);
}

TEST_CASE("mock: usage comes when asked for, in a chunk of its own", "[service][mock]") {
  proxy service{mock_settings()};
  const auto events =
      sse_events(chat(service, R"({"model":"m","messages":[{"role":"user","content":"a b"}],"stream":true,)"
                               R"("stream_options":{"include_usage":true}})")
                     .body);
  REQUIRE(events.size() == 9);
  CHECK(
      holds(events[7], R"("choices":[],"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7})"));
  CHECK(holds(events[6], R"("usage":null)"));
  CHECK(events[8] == "[DONE]");
}

TEST_CASE("mock: a message that names a tool is answered by a call of it", "[service][mock]") {
  proxy service{mock_settings()};
  const auto answer = chat(service, tool_request(false));
  CHECK(answer.status == 200);
  CHECK(holds(answer.body, R"("content":null,"tool_calls":[{"id":"call_)"));
  CHECK(holds(answer.body, R"("type":"function","function":{"name":"weather","arguments":"{\"text\":)"));
  CHECK(holds(answer.body, R"("finish_reason":"tool_calls")"));
  const auto none = chat(service, chat_body("m", false, "please call weather"));
  CHECK(holds(none.body, "Mock LLM response: please call weather"));
}

TEST_CASE("mock: a streamed tool call has its arguments in fragments", "[service][mock]") {
  proxy service{mock_settings()};
  const auto events = sse_events(chat(service, tool_request(true)).body);
  REQUIRE(events.size() > 5);
  CHECK(holds(events[0], R"("tool_calls":[{"index":0,"id":"call_)"));
  CHECK(holds(events[0], R"("name":"weather","arguments":"")"));
  CHECK(joined(events, "arguments") == R"({"text":"please call weather"})");
  CHECK(holds(events[events.size() - 2], R"("finish_reason":"tool_calls")"));
  CHECK(events.back() == "[DONE]");
}

}  // namespace llm_proxy::test
