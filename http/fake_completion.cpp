#include "http/fake_completion.hpp"

#include "http/fake_instance.hpp"
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

/// The text of the last message whose role is user; or of the last one, when it is a tool's.
std::string read_user_text(std::string_view messages, bool& after_tools) {
  std::string user_text;
  for_each_element(messages, [&](json_token, std::string_view message) {
    std::string role;
    json_token kind = json_token::literal_null;
    std::string_view content;
    for_each_member(message, [&](std::string_view key, json_token value_kind, std::string_view value) {
      if (key == "role" && value_kind == json_token::string) role = json_unescaped(value);
      if (key == "content") {
        kind = value_kind;
        content = value;
      }
    });
    after_tools = role == "tool" || role == "function";
    if (role == "user" || after_tools) user_text = read_content(kind, content);
  });
  return user_text;
}

/// The schema of a response_format: `{"type":"json_schema","json_schema":{"schema":{…}}}` or
/// `{"type":"json_object"}`.
std::string read_schema(std::string_view response_format) {
  std::string schema;
  for_each_member(response_format, [&](std::string_view key, json_token kind, std::string_view value) {
    if (key == "type" && kind == json_token::string && json_unescaped(value) == "json_object") schema = "{}";
    if (key != "json_schema") return;
    for_each_member(value, [&](std::string_view name, json_token, std::string_view raw) {
      if (name == "schema") schema = raw;
    });
  });
  return schema;
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
  return reply.calls.empty() ? R"("stop")" : R"("tool_calls")";
}

/// A tool call; `index` is what a chunk names it by.
std::string tool_call(const fake_call& call, std::string_view index, std::string_view arguments) {
  return "{" + std::string{index} + R"("id":)" + json_quoted(call.id) +
         R"(,"type":"function","function":{"name":)" + json_quoted(call.name) + R"(,"arguments":)" +
         json_quoted(arguments) + "}}";
}

std::string all_tool_calls(const fake_reply& reply) {
  std::string all;
  for (const auto& call : reply.calls) all += (all.empty() ? "[" : ",") + tool_call(call, "", call.arguments);
  return all + "]";
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
    if (key == "messages") request.user_text = read_user_text(value, request.after_tools);
    if (key == "response_format") request.schema = read_schema(value);
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
  for (const auto& tool : request.tools) {
    if (request.after_tools || tool.empty() || !calls(request.user_text, tool)) continue;
    const auto number = reply.calls.empty() ? std::string{} : "_" + std::to_string(reply.calls.size());
    reply.calls.push_back(
        {"call_" + std::string{unique} + number, tool, R"({"text":)" + json_quoted(request.user_text) + "}"});
  }
  if (reply.calls.empty()) {
    reply.text = "Mock LLM response: " + request.user_text;
    if (!request.schema.empty()) reply.text = fake_instance(request.schema, reply.text);
  }
  std::uint64_t words = count_words(reply.text);
  for (const auto& call : reply.calls) words += count_words(call.arguments);
  reply.usage = {count_words(request.user_text), words};
  return reply;
}

std::string fake_completion(const fake_reply& reply) {
  const std::string message = reply.calls.empty() ? R"("content":)" + json_quoted(reply.text)
                                                  : R"("content":null,"tool_calls":)" + all_tool_calls(reply);
  return head(reply, "chat.completion") + R"(,"choices":[{"index":0,"message":{"role":"assistant",)" +
         message + R"(},"logprobs":null,"finish_reason":)" + finish_reason(reply) + R"(}],"usage":)" +
         usage_object(reply.usage) + "}";
}

std::vector<std::string> fake_chunks(const fake_reply& reply, bool include_usage) {
  std::vector<std::string> chunks;
  const auto add = [&](std::string_view delta_members) {
    chunks.push_back(chunk(reply, "{" + std::string{delta_members} + "}", "null", include_usage));
  };
  if (reply.calls.empty()) {
    add(R"("role":"assistant","content":"")");
    for (const auto& piece : split_words(reply.text)) add(R"("content":)" + json_quoted(piece));
  }
  for (std::size_t i = 0; i < reply.calls.size(); ++i) {
    const auto& call = reply.calls[i];
    const auto index = R"("index":)" + std::to_string(i) + ",";
    add((i == 0 ? R"("role":"assistant","content":null,)" : "") +
        (R"("tool_calls":[)" + tool_call(call, index, "")) + "]");
    for (const auto& piece : split_words(call.arguments))
      add(R"("tool_calls":[{)" + index + R"("function":{"arguments":)" + json_quoted(piece) + "}}]");
  }
  chunks.push_back(chunk(reply, "{}", finish_reason(reply), include_usage));
  if (include_usage) {
    chunks.push_back(head(reply, "chat.completion.chunk") + R"(,"choices":[],"usage":)" +
                     usage_object(reply.usage) + "}");
  }
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
