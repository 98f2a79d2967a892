#include "http/request/request_gate.hpp"

#include "support/catch.hpp"

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace llm_proxy;
using namespace std::string_literals;

namespace {

/// Returns a valid body with `members` after its model and messages.
std::string body_with(std::string_view members) {
  return R"({"model":"m","messages":[])" + (members.empty() ? "" : "," + std::string{members}) + "}";
}

std::string body_with_messages(std::string_view messages) {
  return R"({"model":"m","messages":)" + std::string{messages} + "}";
}

/// Returns everything that the gate says about a body, as one text.
std::string told(const checked_request& checked) {
  if (const auto* fault = std::get_if<request_fault>(&checked)) {
    return std::to_string(fault->status) + '\n' + fault->message + '\n' + fault->param + '\n' + fault->code +
           '\n' + validation_detail(fault->fields);
  }
  const auto& request = std::get<gated_request>(checked);
  std::string all = request.model + '\n' + (request.stream ? "stream" : "") + '\n' +
                    (request.include_usage ? "usage" : "") + '\n';
  for (const auto& at : {request.model_at, request.usage_at})
    all += std::to_string(at.begin) + ' ' + std::to_string(at.end) + '\n';
  return all.append(request.usage_text).append(request.brings_models);
}

/// Checks a body as a whole and in pieces. The result must be the same.
checked_request checked_in_all_ways(const body_rules& rules, std::string_view body) {
  auto whole = check_request(rules, body);
  const auto in_pieces = [&](std::size_t size) {
    request_check gate{rules};
    // Each piece moves the bytes, as a growing buffer does. So the gate must not keep any pointer to them.
    std::unique_ptr<char[]> so_far;
    for (std::size_t end = size; end < body.size(); end += size) {
      // The memory is exactly as large as the text, so the address sanitizer notices a read beyond it.
      std::unique_ptr<char[]> grown{new char[end]};
      std::memcpy(grown.get(), body.data(), end);
      so_far = std::move(grown);
      gate.feed({so_far.get(), end});
    }
    so_far.reset();
    return told(gate.finish(body));
  };
  if (body.size() < 10'000) CHECK(in_pieces(1) == told(whole));
  for (const std::size_t size : {7U, 64U, 4099U}) {
    if (body.size() < size * 100) CHECK(in_pieces(size) == told(whole));
  }
  return whole;
}

/// Returns `ok`, or the fault as `status param code`.
std::string verdict(const std::string& body) {
  // A copy in its own memory lets the address sanitizer notice a read beyond the body.
  const std::vector<char> copy{body.begin(), body.end()};
  const auto checked = checked_in_all_ways(chat_rules, {copy.data(), copy.size()});
  const auto* fault = std::get_if<request_fault>(&checked);
  if (fault == nullptr) return "ok";
  if (!fault->param.empty()) CHECK(fault->message.find(fault->param) != std::string::npos);
  return std::to_string(fault->status) + " " + fault->param + " " + fault->code;
}

gated_request accepted(const std::string& body) {
  CAPTURE(body);
  const auto checked = checked_in_all_ways(chat_rules, body);
  REQUIRE(std::holds_alternative<gated_request>(checked));
  return std::get<gated_request>(checked);
}

}  // namespace

TEST_CASE("request gate: reads model, its place, stream and include_usage", "[request_gate]") {
  const std::string body =
      R"( {"stream":true, "model" : "gpt\u002d4\n\ud83d\ude00" ,"messages":[{"role":"user","content":"hi"}],)"
      R"("stream_options":{"include_usage":true}} )";
  const auto request = accepted(body);
  CHECK(request.model == "gpt-4\n\xF0\x9F\x98\x80");
  CHECK(body.substr(request.model_at.begin, request.model_at.end - request.model_at.begin) ==
        R"("gpt\u002d4\n\ud83d\ude00")");
  CHECK(request.stream);
  CHECK(request.include_usage);
  const auto plain = accepted(body_with(""));
  CHECK_FALSE(plain.stream);
  CHECK_FALSE(plain.include_usage);
}

TEST_CASE("request gate: an empty model can be replaced without changing the bytes around it",
          "[request_gate]") {
  std::string body = R"({"n":1.0,"model": "" ,"messages":[]})";
  const auto request = accepted(body);
  CHECK(request.model.empty());
  splice(body, request.model_at.begin, request.model_at.end, json_quoted("gpt-\"x"));
  CHECK(body == R"({"n":1.0,"model": "gpt-\"x" ,"messages":[]})");
}

TEST_CASE("request gate: a member that brings other models is reported", "[request_gate]") {
  for (const std::string member :
       {"fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "router_settings_override",
        "model_list", "user_config", "models", "mock_testing_fallbacks"}) {
    CHECK(accepted(body_with("\"" + member + R"(":["b"],"user":"u")")).brings_models == member);
  }
  CHECK(accepted(body_with(R"("f\u0061llbacks":["b"])")).brings_models == "fallbacks");
  // These names do not count within a message or metadata, as part of a longer name, or in another case.
  CHECK(accepted(R"({"model":"a","messages":[{"role":"user","fallbacks":1,"model":"x"}],)"
                 R"("metadata":{"models":[]},"xfallbacks":1,"fallbacks2":1,"Models":[]})")
            .brings_models.empty());
}

TEST_CASE("request gate: a very long model is read whole", "[request_gate]") {
  const std::string model(5'000, 'x');
  CHECK(accepted(R"({"model":")" + model + R"(","messages":[]})").model == model);
}

TEST_CASE("request gate: of duplicate keys the last counts", "[request_gate]") {
  const std::string twice =
      R"({"model":7,"messages":"x","stream":true,"model":"b","messages":[],"stream":false})";
  CHECK(accepted(twice).model == "b");
  CHECK(twice.substr(accepted(twice).model_at.begin, 3) == R"("b")");
  CHECK_FALSE(accepted(twice).stream);
  CHECK(verdict(body_with(R"("messages":[{"role":1}],"messages":[{"role":"user"}])")) == "ok");
  CHECK(verdict(body_with(R"("messages":[{"role":"user"}],"messages":[{"role":1}])")) ==
        "422 messages[0].role invalid_type");
  CHECK(verdict(body_with(R"("messages":[{},{}],"messages":[{"role":"user"},7])")) ==
        "422 messages[1] invalid_type");
  CHECK(verdict(body_with(R"("model":null)")) == "422 model invalid_type");
  CHECK(verdict(body_with(R"("\u006dodel":null)")) == "422 model invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":1,"role":"user"}])")) == "ok");
  CHECK(verdict(body_with_messages(R"([{"role":"user","r\u006fle":1}])")) ==
        "422 messages[0].role invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":"user","content":1,"content":"x"}])")) == "ok");
  CHECK_FALSE(
      accepted(body_with(R"("stream_options":{"include_usage":true},"stream_options":null)")).include_usage);
  CHECK_FALSE(
      accepted(body_with(R"("stream_options":{"include_usage":true,"include_usage":false})")).include_usage);
  CHECK(accepted(body_with(R"("stream_options":{"x":{"include_usage":false},"include_usage":true})"))
            .include_usage);
  CHECK_FALSE(accepted(body_with(R"("stream_options":{"x":{"include_usage":true}})")).include_usage);
  CHECK_FALSE(accepted(body_with(R"("stream_options":{"include_usage":"true"})")).include_usage);
}

TEST_CASE("request gate: each member has its kinds, the rest is free", "[request_gate]") {
  struct rule {
    std::string name;
    std::string allowed;  // some of s(tring) n(umber) b(oolean) 0(null) o(bject) a(rray)
  };
  const std::vector<rule> rules{{"model", "s"},
                                {"messages", "a"},
                                {"stream", "b0"},
                                {"temperature", "n0"},
                                {"top_p", "n0"},
                                {"presence_penalty", "n0"},
                                {"frequency_penalty", "n0"},
                                {"n", "n0"},
                                {"max_tokens", "n0"},
                                {"tools", "a0"},
                                {"functions", "a0"},
                                {"tool_choice", "so0"},
                                {"function_call", "so0"},
                                {"stop", "sa0"},
                                {"logit_bias", "o0"},
                                {"user", "s0"},
                                {"stream_options", "snb0oa"},
                                {"unknown", "snb0oa"},
                                {"max_completion_tokens", "snb0oa"}};
  const std::vector<std::pair<char, std::vector<std::string>>> values{
      {'s', {R"("")", R"("x")"}},    {'n', {"1", "1e400", "-0.0", "9007199254740993"}},
      {'b', {"true", "false"}},      {'0', {"null"}},
      {'o', {"{}", R"({"a":[1]})"}}, {'a', {"[]"}}};
  for (const auto& [name, allowed] : rules) {
    for (const auto& [kind, spellings] : values) {
      for (const auto& value : spellings) {
        const auto body = body_with("\"" + name + "\":" + value);
        CAPTURE(body);
        const bool right = allowed.find(kind) != std::string::npos;
        CHECK(verdict(body) == (right ? "ok" : "422 " + name + " invalid_type"));
      }
    }
  }
}

TEST_CASE("request gate: model and messages must be there", "[request_gate]") {
  CHECK(verdict("{}") == "422 model missing_required_parameter");
  CHECK(verdict(R"({"messages":[]})") == "422 model missing_required_parameter");
  CHECK(verdict(R"({"model":"m"})") == "422 messages missing_required_parameter");
  CHECK(verdict(R"({"x":{"model":"m","messages":[]}})") == "422 model missing_required_parameter");
  CHECK(verdict(R"({"x":[{"model":"m"}],"model":"m","messages":[]})") == "ok");
}

TEST_CASE("request gate: messages are objects with a role and, if present, valid content", "[request_gate]") {
  CHECK(verdict(body_with_messages("[]")) == "ok");
  CHECK(
      verdict(body_with_messages(
          R"([{"role":"user"},{"role":"x","content":null},{"role":"","content":"a"},{"role":"user","content":[{"type":7}]}])")) ==
      "ok");
  CHECK(verdict(body_with_messages(R"([{"role":"user"},{"content":"a"}])")) ==
        "422 messages[1].role missing_required_parameter");
  CHECK(verdict(body_with_messages(R"([{"role":null}])")) == "422 messages[0].role invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":{"role":"user"}}])")) == "422 messages[0].role invalid_type");
  CHECK(verdict(body_with_messages(R"([{"x":{"role":"user"}}])")) ==
        "422 messages[0].role missing_required_parameter");
  CHECK(verdict(body_with_messages(R"([{"role":"user","content":{}}])")) ==
        "422 messages[0].content invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":"user","content":1}])")) ==
        "422 messages[0].content invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":"user","content":true}])")) ==
        "422 messages[0].content invalid_type");
  CHECK(verdict(body_with_messages(R"([{"role":"user"},"x"])")) == "422 messages[1] invalid_type");
  CHECK(verdict(body_with_messages(R"([[{"role":"user"}]])")) == "422 messages[0] invalid_type");
  CHECK(verdict(body_with_messages(R"([null,{}])")) == "422 messages[0] invalid_type");
  CHECK(verdict(body_with_messages(R"({"role":"user"})")) == "422 messages invalid_type");
  CHECK(verdict(body_with_messages(
            R"([{"role":"user","content":[{"role":1,"content":1}],"tool_calls":[{"role":7}]}])")) == "ok");
}

TEST_CASE("request gate: a body that is not an object has the wrong shape", "[request_gate]") {
  for (const std::string body : {"[]", "1", "\"x\"", "null", R"([{"model":"m","messages":[]}])", "true"}) {
    CAPTURE(body);
    CHECK(verdict(body) == "422  invalid_type");
  }
}

TEST_CASE("request gate: a body that is not JSON is malformed, whatever its shape", "[request_gate]") {
  const auto right = body_with("");
  for (const std::string& body :
       {""s, " "s, "{"s, right + "x", right + right, right + "\0"s, "\xEF\xBB\xBF" + right,
        body_with("\"a\":NaN"), body_with("\"a\":-Infinity"), body_with("\"user\":\"\xFF\""),
        body_with("\"user\":\"\xED\xA0\x80\""), body_with("\"a\":01"), body_with("\"a\":1,"),
        body_with("\"a\":\"\n\""), "[1,"s, R"({"model":7)"s, "/**/" + right,
        right.substr(0, right.size() - 1)}) {
    CAPTURE(body);
    CHECK(verdict(body) == "400  invalid_json");
  }
  const auto message = [](std::string_view body) {
    return std::get<request_fault>(checked_in_all_ways(chat_rules, body)).message;
  };
  CHECK(message("") == "the request body is empty: JSON expected at byte 0");
  CHECK(message("{\"a\":\"\xFF\"}") == "the request body is not valid JSON: invalid UTF-8 at byte 6");
  CHECK(message("{} x") == "the request body is not valid JSON: data after the JSON value at byte 3");
}

TEST_CASE("request gate: lone surrogate escapes and huge numbers pass", "[request_gate]") {
  CHECK(verdict(body_with(R"("user":"\ud800","temperature":1e400,"seed":9007199254740993,"x":-0)")) == "ok");
  CHECK(accepted(R"({"model":"\ud800","messages":[]})").model == "\xEF\xBF\xBD");
}

TEST_CASE("request gate: 100,000 levels of nesting neither crash nor slow it", "[request_gate]") {
  const std::string open(100'000, '[');
  const std::string close(100'000, ']');
  CHECK(verdict(body_with("\"x\":" + open + close)) == "ok");
  CHECK(verdict(body_with("\"x\":" + open)) == "400  invalid_json");
  CHECK(verdict(body_with_messages(R"([{"role":"user","content":)" + open + close + "}]")) == "ok");
  CHECK(verdict(open + close) == "422  invalid_type");
}

TEST_CASE("request gate: each endpoint has its own rules", "[request_gate]") {
  const auto param = [](const body_rules& rules, std::string_view body) {
    const auto checked = checked_in_all_ways(rules, body);
    const auto* fault = std::get_if<request_fault>(&checked);
    return fault == nullptr       ? std::string{"ok"}
           : fault->param.empty() ? std::to_string(fault->status)
                                  : fault->param;
  };
  CHECK(param(embedding_rules, R"({"model":"m","input":["a",1,[2]]})") == "ok");
  CHECK(param(embedding_rules, R"({"model":"m"})") == "input");
  CHECK(param(embedding_rules, R"({"input":"a"})") == "model");
  CHECK(param(moderation_rules, R"({"input":"a"})") == "ok");
  CHECK(param(moderation_rules, R"({"input":"a","model":1})") == "model");
  CHECK(param(completion_rules, R"({"model":"m","prompt":["a"],"stream":true})") == "ok");
  CHECK(param(completion_rules, R"({"model":"m","prompt":{}})") == "prompt");
  CHECK(param(rerank_rules, R"({"model":"m","query":"q","documents":[{}]})") == "ok");
  CHECK(param(rerank_rules, R"({"model":"m","query":"q"})") == "documents");
  CHECK(param(image_rules, R"({"prompt":"p"})") == "ok");
  CHECK(param(speech_rules, R"({"model":"m","input":"i","voice":{"id":"v"}})") == "ok");
  CHECK(param(response_rules, R"({"prompt":{"id":"x"}})") == "ok");
  CHECK(param(response_rules, R"({"model":"m","input":1})") == "input");
  CHECK(param(anthropic_rules,
              R"({"model":"m","messages":[{"role":"user","content":"c"}],"max_tokens":1})") == "ok");
  CHECK(param(anthropic_rules, R"({"model":"m","messages":[{"content":"c"}]})") == "messages[0].role");
  CHECK(param(object_rules, "{}") == "ok");
  CHECK(param(object_rules, "[]") == "422");
  CHECK(param(object_rules, "{") == "400");
}

TEST_CASE("request gate: says which bytes ask for usage", "[request_gate]") {
  const auto asked = [](const std::string& body) {
    const auto request = accepted(body);
    if (request.usage_text.empty()) return std::string{"no edit"};
    auto edited = body;
    splice(edited, request.usage_at.begin, request.usage_at.end, request.usage_text);
    CHECK(accepted(edited).include_usage);
    return edited;
  };
  CHECK(asked(R"( { "model":"m","messages":[]})") ==
        R"( {"stream_options":{"include_usage":true}, "model":"m","messages":[]})");
  CHECK(asked(body_with(R"("stream_options":null)")) ==
        body_with(R"("stream_options":{"include_usage":true})"));
  CHECK(asked(body_with(R"("stream_options":{})")) ==
        body_with(R"("stream_options":{"include_usage":true})"));
  CHECK(asked(body_with(R"("stream_options":{"a":[1]})")) ==
        body_with(R"("stream_options":{"include_usage":true,"a":[1]})"));
  CHECK(asked(body_with(R"("stream_options":{"include_usage": false ,"b":1})")) ==
        body_with(R"("stream_options":{"include_usage": true ,"b":1})"));
  CHECK(asked(body_with(R"("stream_options":{"include_usage":true})")) == "no edit");
  CHECK(asked(body_with(R"("stream_options":1)")) == "no edit");
  CHECK(asked(body_with(R"("stream_options":{"include_usage":{}})")) == "no edit");
}
