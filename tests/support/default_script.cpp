// The default answers of a scripted_upstream: chat, models, and special behaviour for some model names.

#include "support/scripted_upstream.hpp"

#include <charconv>
#include <string>
#include <string_view>

namespace llm_proxy::test {

namespace {

std::string delta_chunk(std::string_view model, std::string_view delta, std::string_view finish_reason) {
  return R"({"id":"chatcmpl-scripted","object":"chat.completion.chunk","created":1700000000,"model":")" +
         std::string(model) + R"(","choices":[{"index":0,"delta":)" + std::string(delta) +
         R"(,"finish_reason":)" +
         (finish_reason.empty() ? "null" : "\"" + std::string(finish_reason) + "\"") + "}]}";
}

constexpr std::string_view usage_json = R"({"prompt_tokens":5,"completion_tokens":3,"total_tokens":8})";

void whole_answer(const std::string& model, const std::string& said, upstream_reply& reply) {
  bool tools = model == "tools";
  std::string message = R"({"role":"assistant","content":")" + said + "\"}";
  if (tools) {
    message = R"({"role":"assistant","content":null,"tool_calls":[{"id":"call_up_1","type":"function",)"
              R"("function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]})";
  }
  std::string body =
      R"({"id":"chatcmpl-scripted","object":"chat.completion","created":1700000000,"model":")" + model +
      R"(","choices":[{"index":0,"message":)" + message + R"(,"finish_reason":")" +
      (tools ? "tool_calls" : "stop") + R"("}],"usage":)" + std::string(usage_json) + "}";
  if (model == "cut-body" || model == "stall") {
    reply.head(200, {{"content-type", "application/json"}, {"content-length", std::to_string(body.size())}});
    reply.send(std::string_view{body}.substr(0, body.size() / 2));
    if (model == "stall") {
      reply.hang();
    } else {
      reply.sleep(milliseconds{50});
      reply.reset();
    }
    return;
  }
  reply.json(200, body);
}

void streamed_answer(const std::string& model, const std::string& said, bool with_usage,
                     upstream_reply& reply) {
  reply.sse_head();
  reply.event(delta_chunk(model, R"({"role":"assistant","content":""})", ""));
  if (model == "tools") {
    reply.event(delta_chunk(model,
                            R"({"tool_calls":[{"index":0,"id":"call_up_1","type":"function",)"
                            R"("function":{"name":"get_weather","arguments":""}}]})",
                            ""));
    for (const char* part : {R"({\"city\":)", R"(\"Paris\"})"}) {
      reply.event(delta_chunk(
          model, R"({"tool_calls":[{"index":0,"function":{"arguments":")" + std::string(part) + "\"}}]}",
          ""));
    }
    reply.event(delta_chunk(model, "{}", "tool_calls"));
  } else {
    std::string_view rest = said;
    while (!rest.empty()) {
      // Cut only before a space, so never inside an escape.
      std::string_view word = rest.substr(0, rest.find(' ', 1));
      rest.remove_prefix(word.size());
      if (model == "slow" && !reply.sleep(milliseconds{50})) return;
      reply.event(delta_chunk(model, R"({"content":")" + std::string(word) + "\"}", ""));
      if (model == "cut-stream") {
        // Gives the peer time to read what was sent, because a reset discards unread bytes.
        reply.sleep(milliseconds{300});
        return reply.reset();
      }
      if (model == "stall") return reply.hang();
      if (model == "error-event") {
        reply.event(
            R"({"error":{"message":"scripted failure","type":"server_error","param":null,"code":"500"}})");
        reply.end_chunks();
        return;
      }
    }
    reply.event(delta_chunk(model, "{}", "stop"));
  }
  if (with_usage) {
    reply.event(
        R"({"id":"chatcmpl-scripted","object":"chat.completion.chunk","created":1700000000,"model":")" +
        model + R"(","choices":[],"usage":)" + std::string(usage_json) + "}");
  }
  if (model != "no-done") reply.event("[DONE]");
  reply.end_chunks();
}

}  // namespace

void default_script(const upstream_request& request, upstream_reply& reply) {
  std::string_view path = std::string_view{request.target}.substr(0, request.target.find('?'));
  if (request.method == "GET" && path.ends_with("/models")) {
    reply.json(
        200, R"({"data":[{"id":"gpt-4o-mini","object":"model","created":1677610602,"owned_by":"openai",)"
             R"("max_input_tokens":128000},{"id":"vendor/with/slash","object":"model","created":1677610602,)"
             R"("owned_by":"openai"}],"object":"list"})");
    return;
  }
  if (request.method == "GET" && path.ends_with("/model/info")) {
    reply.json(200, R"({"data":[{"model_name":"gpt-4o-mini","litellm_params":{"model":"openai/gpt-4o-mini"},)"
                    R"("model_info":{"max_input_tokens":128000,"litellm_provider":"openai"}}]})");
    return;
  }
  if (request.method != "POST" || !path.ends_with("/chat/completions")) {
    reply.json(404, R"({"detail":"Not Found"})");
    return;
  }
  std::string model = request.text("model");
  if (model.starts_with("status-")) {
    int status = 500;
    std::from_chars(model.data() + 7, model.data() + model.size(), status);
    header_list more;
    if (status == 429 || status == 503) more.emplace_back("retry-after", "7");
    reply.json(status,
               R"({"error":{"message":"scripted )" + std::to_string(status) +
                   R"(","type":"scripted_error","param":null,"code":"scripted_)" + std::to_string(status) +
                   "\"}}",
               more);
  } else if (model == "html") {
    reply.json(200, "<html><body>It works!</body></html>", {{"content-type", "text/html"}});
  } else if (model == "hang") {
    reply.hang();
  } else {
    std::string said = "Upstream heard: " + request.last_text("content");
    if (request.is_true("stream")) {
      streamed_answer(model, said, request.is_true("include_usage"), reply);
    } else {
      whole_answer(model, said, reply);
    }
  }
}

}  // namespace llm_proxy::test
