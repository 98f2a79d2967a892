#include "adapters/fake/fake_completion.hpp"

#include "adapters/fake/fake_instance.hpp"
#include "http/json/json_text.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/// Returns whether `text` contains `call <tool>` as separate words.
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
  return R"({"id":)" + json_quoted("chatcmpl-" + reply.unique) + R"(,"object":)" + json_quoted(object) +
         R"(,"created":)" + std::to_string(reply.created) + R"(,"model":)" + json_quoted(reply.model);
}

std::string finish_reason(const fake_reply& reply) {
  return reply.calls.empty() ? R"("stop")" : R"("tool_calls")";
}

/// Returns a tool call. `index` is the member by which a chunk names the call; empty outside of chunks.
std::string tool_call(const fake_reply& reply, const fake_call& call, std::string_view index,
                      std::string_view arguments) {
  return "{" + std::string{index} + R"("id":)" + json_quoted("call_" + reply.unique + call.number) +
         R"(,"type":"function","function":{"name":)" + json_quoted(call.name) + R"(,"arguments":)" +
         json_quoted(arguments) + "}}";
}

std::string all_tool_calls(const fake_reply& reply) {
  std::string all;
  for (const auto& call : reply.calls)
    all += (all.empty() ? "[" : ",") + tool_call(reply, call, "", call.arguments);
  return all + "]";
}

std::string chunk(const fake_reply& reply, std::string_view delta, std::string_view reason,
                  bool usage_follows) {
  return head(reply, "chat.completion.chunk") + R"(,"choices":[{"index":0,"delta":)" + std::string{delta} +
         R"(,"logprobs":null,"finish_reason":)" + std::string{reason} + "}]" +
         (usage_follows ? R"(,"usage":null})" : "}");
}

}  // namespace

fake_reply make_fake_reply(const fake_request& request, std::string_view unique, std::int64_t created) {
  fake_reply reply;
  reply.unique = unique;
  reply.created = created;
  reply.model = request.model;
  for (const auto& tool : request.tools) {
    if (request.after_tools || tool.empty() || !calls(request.user_text, tool)) continue;
    auto number = reply.calls.empty() ? std::string{} : "_" + std::to_string(reply.calls.size());
    reply.calls.push_back({std::move(number), tool, R"({"text":)" + json_quoted(request.user_text) + "}"});
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
        (R"("tool_calls":[)" + tool_call(reply, call, index, "")) + "]");
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
