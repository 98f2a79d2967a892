#include "adapters/fake/fake_message.hpp"

#include "adapters/fake/fake_completion.hpp"
#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

/// A content block: as it begins in a stream, as it is when complete, and the two names of its delta.
struct content_block {
  std::string begun;
  std::string whole;
  std::string text;  // the text or the input, to be cut into deltas
  std::string_view delta_type;
  std::string_view delta_member;
};

content_block text_block(const fake_reply& reply) {
  const auto written = [](std::string_view text) {
    return R"({"type":"text","text":)" + json_quoted(text) + "}";
  };
  return {written(""), written(reply.text), reply.text, "text_delta", "text"};
}

content_block tool_block(const fake_reply& reply, const fake_call& call) {
  const auto written = [&](std::string_view input) {
    return R"({"type":"tool_use","id":)" + json_quoted("toolu_" + reply.unique + call.number) +
           R"(,"name":)" + json_quoted(call.name) + R"(,"input":)" + std::string{input} + "}";
  };
  return {written("{}"), written(call.arguments), call.arguments, "input_json_delta", "partial_json"};
}

std::vector<content_block> blocks_of(const fake_reply& reply) {
  std::vector<content_block> blocks;
  if (reply.calls.empty()) blocks.push_back(text_block(reply));
  for (const auto& call : reply.calls) blocks.push_back(tool_block(reply, call));
  return blocks;
}

std::string stop_reason(const fake_reply& reply) {
  return reply.calls.empty() ? R"("end_turn")" : R"("tool_use")";
}

std::string message_object(const fake_reply& reply, std::string_view content, std::string_view reason,
                           std::uint64_t output_tokens) {
  return R"({"id":)" + json_quoted("msg_" + reply.unique) +
         R"(,"type":"message","role":"assistant","model":)" + json_quoted(reply.model) + R"(,"content":[)" +
         std::string{content} + R"(],"stop_reason":)" + std::string{reason} +
         R"(,"stop_sequence":null,"usage":{"input_tokens":)" + std::to_string(reply.usage.prompt_tokens) +
         R"(,"output_tokens":)" + std::to_string(output_tokens) + "}}";
}

fake_piece event(std::string_view name, const std::string& members, bool paced = false) {
  return {paced,
          "event: " + std::string{name} + "\n" +
              sse_event(R"({"type":)" + json_quoted(name) + (members.empty() ? "" : ",") + members + "}")};
}

fake_answer stream_of(const fake_reply& reply) {
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  auto& pieces = answer.pieces;
  pieces.push_back(event("message_start", R"("message":)" + message_object(reply, "", "null", 0)));
  const auto blocks = blocks_of(reply);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto& block = blocks[i];
    const auto index = R"("index":)" + std::to_string(i);
    pieces.push_back(event("content_block_start", index + R"(,"content_block":)" + block.begun));
    for (const auto& word : split_words(block.text)) {
      pieces.push_back(event("content_block_delta",
                             index + R"(,"delta":{"type":")" + std::string{block.delta_type} + R"(",")" +
                                 std::string{block.delta_member} + R"(":)" + json_quoted(word) + "}",
                             true));
    }
    pieces.push_back(event("content_block_stop", index));
  }
  pieces.push_back(event("message_delta", R"("delta":{"stop_reason":)" + stop_reason(reply) +
                                              R"(,"stop_sequence":null},"usage":{"output_tokens":)" +
                                              std::to_string(reply.usage.completion_tokens) + "}"));
  pieces.push_back(event("message_stop", ""));
  return answer;
}

}  // namespace

fake_answer fake_message(std::string_view body, std::string_view unique) {
  const auto request = read_fake_message(body);
  const auto reply = make_fake_reply(request, unique, 0);
  if (request.stream) return stream_of(reply);
  std::string content;
  for (const auto& block : blocks_of(reply)) content += (content.empty() ? "" : ",") + block.whole;
  return {200,
          "application/json",
          {{false, message_object(reply, content, stop_reason(reply), reply.usage.completion_tokens)}}};
}

fake_answer fake_token_count(std::string_view body) {
  const auto words = split_words(read_fake_message(body).user_text).size();
  return {200, "application/json", {{false, R"({"input_tokens":)" + std::to_string(words) + "}"}}};
}

}  // namespace llm_proxy
