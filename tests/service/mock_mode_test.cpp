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

/// Returns a request that offers the tool `weather` and asks for a call of it.
std::string tool_request(bool stream) {
  return R"({"model":"m","messages":[{"role":"user","content":"please call weather"}],)"
         R"("tools":[{"type":"function","function":{"name":"time"}},)"
         R"({"type":"function","function":{"name":"weather","parameters":{}}}])" +
         std::string{stream ? R"(,"stream":true})" : "}"};
}

/// Returns the texts of all `"member":"…"` in the events, joined together.
std::string joined(const std::vector<std::string>& events, const std::string& member) {
  std::string all;
  const auto wanted = "\"" + member + "\":\"";
  for (const auto& event : events) {
    const auto at = event.find(wanted);
    if (at == std::string::npos) continue;
    for (auto i = at + wanted.size(); event[i] != '"'; ++i) {
      if (event[i] == '\\') ++i;  // these tests have no other escapes than quotes
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

TEST_CASE("mock: words arrive one after the other, not all at the end", "[service][mock]") {
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

TEST_CASE("mock: usage is sent on request, in a chunk of its own", "[service][mock]") {
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

TEST_CASE("mock: a message that names a tool is answered with a call of that tool", "[service][mock]") {
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

namespace {

/// A tool loop of one dialect: the request that asks for a call, the request that brings the call's result,
/// and what the answers must contain.
struct tool_loop {
  std::string path;
  std::string ask;     // without its end, so that "stream" can be added
  std::string result;  // without its end, too
  std::string called;  // in an answer that is not streamed
  std::string called_streamed;
  std::string argument_member;  // the member with the fragments of a streamed call's arguments
  std::string text_member;
};

const std::string call_text = "please call weather";
const std::string arguments = R"({"text":"please call weather"})";

std::vector<tool_loop> tool_loops() {
  const std::string chat_tools = R"("tools":[{"type":"function","function":{"name":"weather"}}])";
  const std::string asked = R"({"role":"user","content":"please call weather"})";
  return {
      {"/v1/chat/completions", R"({"model":"m",)" + chat_tools + R"(,"messages":[)" + asked + "]",
       R"({"model":"m",)" + chat_tools + R"(,"messages":[)" + asked +
           R"(,{"role":"assistant","tool_calls":[]},{"role":"tool","tool_call_id":"c","content":"sunny"}])",
       R"("finish_reason":"tool_calls")", R"("finish_reason":"tool_calls")", "arguments", "content"},
      {"/v1/responses",
       R"({"model":"m","tools":[{"type":"function","name":"weather","parameters":{}}],"input":[)" + asked +
           "]",
       R"({"model":"m","tools":[{"type":"function","name":"weather","parameters":{}}],"input":[)" + asked +
           R"(,{"type":"function_call","call_id":"c","name":"weather","arguments":"{}"},)"
           R"({"type":"function_call_output","call_id":"c","output":"sunny"}])",
       R"("type":"function_call","call_id":"call_)", "event: response.function_call_arguments.done\n",
       "delta", "delta"},
      {"/v1/messages",
       R"({"model":"m","max_tokens":9,"tools":[{"name":"weather","input_schema":{"type":"object"}}],"messages":[)" +
           asked + "]",
       R"({"model":"m","max_tokens":9,"tools":[{"name":"weather","input_schema":{"type":"object"}}],"messages":[)" +
           asked +
           R"(,{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"weather","input":{}}]},)"
           R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"sunny"}]}])",
       R"("stop_reason":"tool_use")", R"("stop_reason":"tool_use")", "partial_json", "text"}};
}

}  // namespace

TEST_CASE(
    "mock: a tool loop leads from a call through its result to a text, in each dialect, streamed or not",
    "[service][mock]") {
  proxy service{mock_settings()};
  const auto post = [&](const tool_loop& loop, const std::string& body) {
    return request(service.port(), "POST", loop.path, with_key, body);
  };
  for (const auto& loop : tool_loops()) {
    CAPTURE(loop.path);
    const auto called = post(loop, loop.ask + "}");
    CHECK(called.status == 200);
    CHECK(holds(called.body, loop.called));
    CHECK(holds(called.body, "weather"));
    const auto streamed = post(loop, loop.ask + R"(,"stream":true})");
    CHECK(streamed.complete);
    CHECK(holds(streamed.body, loop.called_streamed));
    CHECK(joined(sse_events(streamed.body), loop.argument_member) == arguments);
    CHECK(holds(post(loop, loop.result + "}").body, "Mock LLM response: sunny"));
    const auto final_text = post(loop, loop.result + R"(,"stream":true})");
    CHECK(final_text.complete);
    CHECK(holds(joined(sse_events(final_text.body), loop.text_member), "Mock LLM response: sunny"));
  }
}

TEST_CASE("mock: structured output follows the schema in the Responses and the Messages API",
          "[service][mock]") {
  proxy service{mock_settings()};
  const std::string format =
      R"("format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"n":{"type":"integer"}}}})";
  const auto response = request(service.port(), "POST", "/v1/responses", with_key,
                                R"({"model":"m","input":"hi","text":{)" + format + "}}");
  CHECK(holds(response.body, R"("text":"{\"n\":0}")"));
  const auto message =
      request(service.port(), "POST", "/v1/messages", with_key,
              R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"output_config":{)" +
                  format + "}}");
  CHECK(holds(message.body, R"("text":"{\"n\":0}")"));
}

}  // namespace llm_proxy::test
