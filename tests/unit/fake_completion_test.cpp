#include "adapters/fake/fake_completion.hpp"

#include "http/dialect/sse.hpp"
#include "http/dialect/stream_judge.hpp"
#include "http/json/json_scanner.hpp"
#include "http/json/json_walk.hpp"
#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace llm_proxy;

TEST_CASE("fake: reads the last user message", "[fake]") {
  const auto text_of = [](const std::string& messages) {
    return read_fake_chat(R"({"messages":)" + messages + "}").user_text;
  };
  CHECK(text_of(R"([{"role":"user","content":"one"},{"role":"assistant","content":"two"}])") == "one");
  CHECK(
      text_of(
          R"([{"role":"user","content":"one"},{"content":"t\u0077o\n","role":"user"},{"role":"system","content":"x"}])") ==
      "two\n");
  CHECK(
      text_of(
          R"([{"role":"user","content":[{"type":"text","text":"a "},{"type":"image_url","image_url":{"url":"x"},"text":"no"},{"text":"b","type":"text"}]}])") ==
      "a b");
  CHECK(text_of(R"([{"role":"user","content":null}])").empty());
  CHECK(text_of(R"([{"role":"user"}])").empty());
  CHECK(text_of("[]").empty());
  CHECK(text_of(R"([{"role":"user","content":"\ud800 1e400"}])") == "\xEF\xBF\xBD 1e400");
}

TEST_CASE("fake: reads tools and options, and the last of duplicates", "[fake]") {
  const auto request = read_fake_chat(
      R"({"model":"m","stream":false,"stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"a",
      "parameters":{"name":"no"}}},{"function":null},7,{"type":"function","function":{"name":"b"}}],"functions":[{"name":"c"},{"name":1}]})");
  CHECK(request.model == "m");
  CHECK(request.stream);
  CHECK(request.include_usage);
  CHECK(request.tools == std::vector<std::string>{"a", "b", "c"});
  CHECK_FALSE(
      read_fake_chat(R"({"stream":null,"stream_options":{"include_usage":true},"stream_options":null})")
          .include_usage);
  CHECK(read_fake_chat(R"({"tools":null,"functions":null})").tools.empty());
}

TEST_CASE("fake: the words of a text, joined, are the text", "[fake]") {
  for (const std::string text : {"", " ", "a", "a b", "  a  b\n\nc ", "Mock LLM response: Echo test",
                                 "\xE4\xBD\xA0 \xE5\xA5\xBD", "\t\ta"}) {
    CAPTURE(text);
    std::string joined;
    for (const auto& word : split_words(text)) {
      CHECK_FALSE(word.empty());
      joined += word;
    }
    CHECK(joined == text);
  }
  CHECK(split_words("Mock LLM response: Echo") ==
        std::vector<std::string>{"Mock", " LLM", " response:", " Echo"});
}

TEST_CASE("fake: answers by text", "[fake]") {
  fake_request request;
  request.model = "any \"model\"";
  request.user_text = "Echo \"test\"";
  request.tools = {"weather"};
  const auto reply = make_fake_reply(request, "u1", 1'700'000'000);
  CHECK(reply.text == "Mock LLM response: Echo \"test\"");
  CHECK(
      fake_completion(reply) ==
      R"({"id":"chatcmpl-u1","object":"chat.completion","created":1700000000,"model":"any \"model\"","choices":[{"index":0,"message":{"role":"assistant","content":"Mock LLM response: Echo \"test\""},)"
      R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":5,"total_tokens":7}})");
  const auto chunks = fake_chunks(reply, false);
  REQUIRE(chunks.size() == 8);
  CHECK(
      chunks[0] ==
      R"({"id":"chatcmpl-u1","object":"chat.completion.chunk","created":1700000000,"model":"any \"model\"","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]})");
  CHECK(chunks[5].find(R"("delta":{"content":" \"test\""})") != std::string::npos);
  CHECK(chunks[6].find(R"("delta":{},"logprobs":null,"finish_reason":"stop")") != std::string::npos);
  CHECK(chunks[7] == "[DONE]");
}

TEST_CASE("fake: usage comes before [DONE] when it was asked for", "[fake]") {
  fake_request request;
  request.user_text = "a b c";
  const auto reply = make_fake_reply(request, "u1", 1);
  const auto chunks = fake_chunks(reply, true);
  REQUIRE(chunks.size() == 10);
  for (std::size_t i = 0; i != 8; ++i) CHECK(chunks[i].find(R"(],"usage":null})") != std::string::npos);
  CHECK(
      chunks[8].find(R"("choices":[],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9})") !=
      std::string::npos);
  stream_judge stream;
  std::string bytes;
  for (const auto& chunk : chunks) bytes += sse_event(chunk);
  CHECK(stream.feed(bytes) == bytes);
  CHECK(stream.done_seen());
  REQUIRE(stream.usage);
  CHECK(stream.usage->completion_tokens == 6);
}

TEST_CASE("fake: calls the tool that the user names", "[fake]") {
  fake_request request;
  request.tools = {"get", "get_weather"};
  request.user_text = "please call get_weather in \"Rome\"";
  const auto reply = make_fake_reply(request, "u1", 1);
  REQUIRE(reply.calls.size() == 1);
  CHECK(reply.calls[0].name == "get_weather");
  CHECK(reply.calls[0].arguments == R"({"text":"please call get_weather in \"Rome\""})");
  const auto whole = fake_completion(reply);
  CHECK(is_valid_json(whole));
  CHECK(
      whole.find(
          R"("message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_u1","type":"function","function":{"name":"get_weather","arguments":"{\"text\":)") !=
      std::string::npos);
  CHECK(whole.find(R"("finish_reason":"tool_calls")") != std::string::npos);
  const auto chunks = fake_chunks(reply, false);
  CHECK(
      chunks[0].find(
          R"("delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_u1","type":"function","function":{"name":"get_weather","arguments":""}}]})") !=
      std::string::npos);
  CHECK(chunks[1].find(
            R"("delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"text\":\"please"}}]})") !=
        std::string::npos);
  CHECK(chunks[chunks.size() - 2].find(R"("finish_reason":"tool_calls")") != std::string::npos);
  for (std::size_t i = 0; i + 1 != chunks.size(); ++i) CHECK(is_json_object(chunks[i]));
  for (const auto* other :
       {"recall get_weather", "call get_weathers", "call nothing", "get_weather", "Call of duty", ""}) {
    request.user_text = other;
    CAPTURE(other);
    CHECK(make_fake_reply(request, "u1", 1).calls.empty());
  }
}

TEST_CASE("fake: calls several tools, and answers by text once it has their results", "[fake]") {
  auto request = read_fake_chat(
      R"({"model":"m","tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}],"messages":[{"role":"user","content":"call b and call a"}]})");
  const auto reply = make_fake_reply(request, "u", 1);
  REQUIRE(reply.calls.size() == 2);
  CHECK(reply.calls[0].number != reply.calls[1].number);
  std::string all;
  for (const auto& each : fake_chunks(reply, false)) all += each;
  CHECK(
      all.find(
          R"("tool_calls":[{"index":1,"id":"call_u_1","type":"function","function":{"name":"b","arguments":""}}])") !=
      std::string::npos);
  request = read_fake_chat(
      R"({"model":"m","tools":[{"type":"function","function":{"name":"a"}}],"messages":[{"role":"user","content":"call a"},{"role":"assistant","tool_calls":[]},{"role":"tool","tool_call_id":"x","content":"42 in call a"}]})");
  CHECK(make_fake_reply(request, "u", 1).text == "Mock LLM response: 42 in call a");
}

TEST_CASE("fake: a schema is answered by an object that follows it", "[fake]") {
  const auto text = [](const std::string& format) {
    return make_fake_reply(
               read_fake_chat(R"({"messages":[{"role":"user","content":"hi"}],"response_format":)" + format +
                              "}"),
               "u", 1)
        .text;
  };
  CHECK(text(R"({"type":"text"})") == "Mock LLM response: hi");
  CHECK(text(R"({"type":"json_object"})") == "{}");
  CHECK(
      text(
          R"({"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"s":{"type":"string"},"n":{"type":["integer","null"]},"e":{"enum":["x","y"]},"o":{"type":"object","properties":{"b":{"type":"boolean"}}},"a":{"type":"array"}}}}})") ==
      R"({"s":"Mock LLM response: hi","n":0,"e":"x","o":{"b":false},"a":[]})");
}

TEST_CASE("fake: each dialect's text, tools and format are read", "[fake]") {
  const auto response = read_fake_response(
      R"({"model":"m","stream":true,"input":[{"role":"user","content":[{"type":"input_text","text":"a "},)"
      R"({"type":"input_image","text":"no"},{"type":"input_text","text":"b"}]},{"role":"developer","content":"x"}],)"
      R"("tools":[{"type":"function","name":"f"},{"type":"web_search"},{"type":"mcp","name":"no"}],)"
      R"("text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}})");
  CHECK(response.model == "m");
  CHECK(response.stream);
  CHECK(response.user_text == "a b");
  CHECK_FALSE(response.after_tools);
  CHECK(response.tools == std::vector<std::string>{"f"});
  CHECK(response.schema == R"({"type":"object"})");
  CHECK(read_fake_response(R"({"input":"plain"})").user_text == "plain");
  const auto output = read_fake_response(
      R"({"input":[{"role":"user","content":"call f"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)"
      R"({"type":"function_call_output","call_id":"c","output":"42"}]})");
  CHECK(output.after_tools);
  CHECK(output.user_text == "42");
  CHECK(read_fake_response(R"({"text":{"format":{"type":"text"}}})").schema.empty());

  const auto message = read_fake_message(
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"call f"}]}],)"
      R"("tools":[{"name":"f","input_schema":{}},{"type":"web_search_20250305","name":"no"},{"type":"custom","name":"g"}],)"
      R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}})");
  CHECK(message.user_text == "call f");
  CHECK(message.tools == std::vector<std::string>{"f", "g"});
  CHECK(message.schema == R"({"type":"object"})");
  for (const std::string content : {R"("42")", R"([{"type":"text","text":"42"}])"}) {
    const auto result = read_fake_message(
        R"({"messages":[{"role":"user","content":"call f"},{"role":"assistant","content":[]},)"
        R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":)" +
        content + R"(}]}],"output_format":{"type":"json_schema","schema":{}}})");
    CHECK(result.after_tools);
    CHECK(result.user_text == "42");
    CHECK(result.schema == "{}");
  }
}

TEST_CASE("fake: a tool's result is answered only if it is the last word, in every dialect", "[fake]") {
  using reader = fake_request (*)(std::string_view);
  struct dialect {
    std::string name;
    reader read;
    std::string list;  // the member that holds the conversation
    std::string user, call, result, model, later;
  };
  const std::vector<dialect> dialects{
      {"chat", read_fake_chat, "messages", R"({"role":"user","content":"call f"})",
       R"({"role":"assistant","tool_calls":[]})",
       R"({"role":"tool","tool_call_id":"c","content":"42, call f"})",
       R"({"role":"assistant","content":"It is 42."})", R"({"role":"user","content":"thanks"})"},
      {"chat's older functions", read_fake_chat, "messages", R"({"role":"user","content":"call f"})",
       R"({"role":"assistant","function_call":{}})",
       R"({"role":"function","name":"f","content":"42, call f"})",
       R"({"role":"assistant","content":"It is 42."})", R"({"role":"user","content":"thanks"})"},
      {"Responses", read_fake_response, "input", R"({"role":"user","content":"call f"})",
       R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"})",
       R"({"type":"function_call_output","call_id":"c","output":"42, call f"})",
       R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"It is 42."}]})",
       R"({"role":"user","content":"thanks"})"},
      {"Responses, a call at the end", read_fake_response, "input", R"({"role":"user","content":"call f"})",
       R"({"type":"custom_tool_call","call_id":"c","name":"f","input":""})",
       R"({"type":"custom_tool_call_output","call_id":"c","output":"42, call f"})",
       R"({"type":"function_call","call_id":"d","name":"f","arguments":"{}"})",
       R"({"role":"user","content":"thanks"})"},
      {"Anthropic", read_fake_message, "messages", R"({"role":"user","content":"call f"})",
       R"({"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]})",
       R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"42, call f"}]})",
       R"({"role":"assistant","content":"It is 42."})",
       R"({"role":"user","content":[{"type":"text","text":"thanks"}]})"}};
  for (const auto& each : dialects) {
    INFO(each.name);
    const auto read = [&](const std::vector<std::string>& parts) {
      std::string body;
      for (const auto& part : parts) body += (body.empty() ? "" : ",") + part;
      return each.read("{\"" + each.list + "\":[" + body + "]}");
    };
    const auto loop = read({each.user, each.call, each.result});
    CHECK(loop.after_tools);
    CHECK(loop.user_text == "42, call f");
    const auto answered = read({each.user, each.call, each.result, each.model});
    CHECK_FALSE(answered.after_tools);
    CHECK(answered.user_text == "call f");
    const auto next = read({each.user, each.call, each.result, each.model, each.later});
    CHECK_FALSE(next.after_tools);
    CHECK(next.user_text == "thanks");
    const auto again =
        read({each.user, each.call, each.result, each.model, each.later, each.call, each.result});
    CHECK(again.after_tools);
    CHECK(again.user_text == "42, call f");
    // Instructions that stand behind a result do not hide it: the tool would be called for ever.
    for (const std::string role : {"system", "developer"}) {
      const auto told =
          read({each.user, each.call, each.result, R"({"role":")" + role + R"(","content":"x"})"});
      CHECK(told.after_tools);
      CHECK(told.user_text == "42, call f");
    }
  }
}

TEST_CASE("fake: in Anthropic's dialect the last block of a user's message is the last word", "[fake]") {
  const auto read = [](const std::string& blocks) {
    return read_fake_message(
        R"({"messages":[{"role":"user","content":"call f"},{"role":"assistant","content":[]},)"
        R"({"role":"user","content":[)" +
        blocks + "]}]}");
  };
  const std::string result = R"({"type":"tool_result","tool_use_id":"c","content":"42"})";
  const std::string text = R"({"type":"text","text":"call g"})";
  const std::string image = R"({"type":"image","source":{}})";
  CHECK(read(result + "," + text).user_text == "call g");
  CHECK_FALSE(read(result + "," + text).after_tools);
  CHECK(read(result + "," + text + "," + text).user_text == "call gcall g");
  CHECK(read(text + "," + result).user_text == "42");
  CHECK(read(text + "," + result).after_tools);
  CHECK(read(result + "," + image).after_tools);
  CHECK(read(image).user_text.empty());
}
