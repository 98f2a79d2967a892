#include "http/fake_completion.hpp"

#include "http/json_text.hpp"
#include "http/json_walk.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/// The text of a message's content: a string, or the text parts of an array.
std::string read_content(json_token kind, std::string_view raw) {
  if (kind == json_token::string) return json_unescaped(raw);
  std::string text;
  if (kind != json_token::begin_array) return text;
  for_each_element(raw, [&text](json_token, std::string_view part) {
    std::string part_text;
    bool is_text = false;
    for_each_member(part, [&](std::string_view key, json_token value_kind, std::string_view value) {
      if (value_kind != json_token::string) return;
      if (key == "type") is_text = json_unescaped(value) == "text";
      if (key == "text") part_text = json_unescaped(value);
    });
    if (is_text) text += part_text;
  });
  return text;
}

/// The text of the last message whose role is user.
std::string read_user_text(std::string_view messages) {
  std::string user_text;
  for_each_element(messages, [&user_text](json_token, std::string_view message) {
    bool is_user = false;
    json_token kind = json_token::literal_null;
    std::string_view content;
    for_each_member(message, [&](std::string_view key, json_token value_kind, std::string_view value) {
      if (key == "role") is_user = value_kind == json_token::string && json_unescaped(value) == "user";
      if (key == "content") {
        kind = value_kind;
        content = value;
      }
    });
    if (is_user) user_text = read_content(kind, content);
  });
  return user_text;
}

/// The member `name` of each object in an array of functions.
void read_names(std::string_view functions, std::vector<std::string>& names) {
  for_each_element(functions, [&names](json_token, std::string_view function) {
    for_each_member(function, [&names](std::string_view key, json_token kind, std::string_view value) {
      if (key == "name" && kind == json_token::string) names.push_back(json_unescaped(value));
    });
  });
}

void read_tools(std::string_view tools, std::vector<std::string>& names) {
  for_each_element(tools, [&names](json_token, std::string_view tool) {
    for_each_member(tool, [&names](std::string_view key, json_token, std::string_view value) {
      if (key == "function") read_names("[" + std::string{value} + "]", names);
    });
  });
}

/// Whether `text` says `call <tool>`, in words of their own.
bool calls(std::string_view text, std::string_view tool) {
  const std::string wanted = "call " + std::string{tool};
  for (auto at = text.find(wanted); at != std::string_view::npos; at = text.find(wanted, at + 1)) {
    const auto end = at + wanted.size();
    const bool begins = at == 0 || !is_name_character(text[at - 1]);
    if (begins && (end == text.size() || !is_name_character(text[end]))) return true;
  }
  return false;
}

std::uint64_t count_words(std::string_view text) {
  return split_words(text).size();
}

std::string usage_object(const token_usage& usage) {
  return R"({"prompt_tokens":)" + std::to_string(usage.prompt_tokens) + R"(,"completion_tokens":)" +
         std::to_string(usage.completion_tokens) + R"(,"total_tokens":)" +
         std::to_string(usage.prompt_tokens + usage.completion_tokens) + "}";
}

std::string head(const fake_reply& reply, std::string_view object) {
  return R"({"id":)" + json_quoted(reply.id) + R"(,"object":)" + json_quoted(object) + R"(,"created":)" +
         std::to_string(reply.created) + R"(,"model":)" + json_quoted(reply.model);
}

std::string finish_reason(const fake_reply& reply) {
  return reply.tool.empty() ? R"("stop")" : R"("tool_calls")";
}

/// A tool call; `index` is what a chunk names it by.
std::string tool_call(const fake_reply& reply, std::string_view index, std::string_view arguments) {
  return "[{" + std::string{index} + R"("id":)" + json_quoted(reply.tool_call_id) +
         R"(,"type":"function","function":{"name":)" + json_quoted(reply.tool) + R"(,"arguments":)" +
         json_quoted(arguments) + "}}]";
}

std::string chunk(const fake_reply& reply, std::string_view delta, std::string_view reason,
                  bool usage_follows) {
  return head(reply, "chat.completion.chunk") + R"(,"choices":[{"index":0,"delta":)" + std::string{delta} +
         R"(,"logprobs":null,"finish_reason":)" + std::string{reason} + "}]" +
         (usage_follows ? R"(,"usage":null})" : "}");
}

}  // namespace

fake_request read_fake_request(std::string_view body) {
  fake_request request;
  std::string_view tools;
  std::string_view functions;
  for_each_member(body, [&](std::string_view key, json_token kind, std::string_view value) {
    if (key == "model" && kind == json_token::string) request.model = json_unescaped(value);
    if (key == "messages") request.user_text = read_user_text(value);
    if (key == "stream") request.stream = kind == json_token::literal_true;
    if (key == "tools") tools = value;
    if (key == "functions") functions = value;
    if (key != "stream_options") return;
    request.include_usage = false;
    for_each_member(value, [&request](std::string_view option, json_token option_kind, std::string_view) {
      if (option == "include_usage") request.include_usage = option_kind == json_token::literal_true;
    });
  });
  read_tools(tools, request.tools);
  read_names(functions, request.tools);
  return request;
}

fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created) {
  fake_reply reply;
  reply.id = "chatcmpl-" + std::string{unique};
  reply.created = created;
  reply.model = request.model;
  const auto tool = std::find_if(
      request.tools.begin(), request.tools.end(),
      [&request](const std::string& name) { return !name.empty() && calls(request.user_text, name); });
  if (tool != request.tools.end()) {
    reply.tool = *tool;
    reply.tool_call_id = "call_" + std::string{unique};
    reply.arguments = R"({"text":)" + json_quoted(request.user_text) + "}";
  } else {
    reply.text = "Mock LLM response: " + request.user_text;
  }
  reply.usage = {count_words(request.user_text), count_words(reply.text + reply.arguments)};
  return reply;
}

std::string fake_completion(const fake_reply& reply) {
  const std::string message = reply.tool.empty()
                                  ? R"("content":)" + json_quoted(reply.text)
                                  : R"("content":null,"tool_calls":)" + tool_call(reply, "", reply.arguments);
  return head(reply, "chat.completion") + R"(,"choices":[{"index":0,"message":{"role":"assistant",)" +
         message + R"(},"logprobs":null,"finish_reason":)" + finish_reason(reply) + R"(}],"usage":)" +
         usage_object(reply.usage) + "}";
}

std::string fake_first_chunk(const fake_reply& reply, bool usage_follows) {
  const std::string content = reply.tool.empty()
                                  ? R"("content":"")"
                                  : R"("content":null,"tool_calls":)" + tool_call(reply, R"("index":0,)", "");
  return chunk(reply, R"({"role":"assistant",)" + content + "}", "null", usage_follows);
}

std::string fake_delta_chunk(const fake_reply& reply, std::string_view delta, bool usage_follows) {
  const std::string content = reply.tool.empty() ? R"({"content":)" + json_quoted(delta) + "}"
                                                 : R"({"tool_calls":[{"index":0,"function":{"arguments":)" +
                                                       json_quoted(delta) + "}}]}";
  return chunk(reply, content, "null", usage_follows);
}

std::string fake_last_chunk(const fake_reply& reply, bool usage_follows) {
  return chunk(reply, "{}", finish_reason(reply), usage_follows);
}

std::string fake_usage_chunk(const fake_reply& reply) {
  return head(reply, "chat.completion.chunk") + R"(,"choices":[],"usage":)" + usage_object(reply.usage) + "}";
}

std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage) {
  std::vector<std::string> chunks{fake_first_chunk(reply, include_usage)};
  for (const auto& piece : split_words(reply.tool.empty() ? reply.text : reply.arguments)) {
    chunks.push_back(fake_delta_chunk(reply, piece, include_usage));
  }
  chunks.push_back(fake_last_chunk(reply, include_usage));
  if (include_usage) chunks.push_back(fake_usage_chunk(reply));
  chunks.emplace_back("[DONE]");
  return chunks;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= text.size(); ++i) {
    if (i == text.size() || (is_space(text[i]) && !is_space(text[i - 1]))) {
      pieces.emplace_back(text.substr(begin, i - begin));
      begin = i;
    }
  }
  return pieces;
}

}  // namespace llm_proxy
