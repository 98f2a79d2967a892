#include "http/fake_dialects.hpp"

#include "http/fake_completion.hpp"
#include "http/json_text.hpp"
#include "http/json_walk.hpp"
#include "http/sse.hpp"

namespace llm_proxy {

namespace {

std::string named_event(std::string_view name, std::string_view members) {
  return "event: " + std::string{name} + "\n" +
         sse_event(R"({"type":)" + json_quoted(name) + (members.empty() ? "" : ",") + std::string{members} +
                   "}");
}

/// A responses request's input as chat messages: a text is one user message.
std::string messages_of_input(std::string_view body) {
  std::string messages = "[]";
  for_each_member(body, [&](std::string_view key, json_token kind, std::string_view value) {
    if (key != "input") return;
    if (kind == json_token::string) messages = R"([{"role":"user","content":)" + std::string{value} + "}]";
    if (kind == json_token::begin_array) messages = value;
  });
  return messages;
}

/// A request of this dialect, read as a chat.
struct spoken {
  std::string model;
  std::string text;
  std::size_t prompt_words = 0;
  bool stream = false;
};

spoken read(std::string_view body, std::string_view messages) {
  const auto as_chat = R"({"messages":)" + std::string{messages} + "}";
  auto request = read_fake_request(as_chat);
  const auto options = read_fake_request(body);
  return {options.model, "Mock LLM response: " + request.user_text, split_words(request.user_text).size(),
          options.stream};
}

}  // namespace

fake_answer fake_response(std::string_view body, std::string_view unique, std::int64_t created) {
  const auto asked = read(body, messages_of_input(body));
  const auto words = split_words(asked.text);
  const auto part = [](std::string_view text) {
    return R"({"type":"output_text","text":)" + json_quoted(text) + R"(,"annotations":[]})";
  };
  const auto item = [&](std::string_view status, std::string_view content) {
    return R"({"id":"msg_)" + std::string{unique} + R"(","type":"message","role":"assistant","status":")" +
           std::string{status} + R"(","content":[)" + std::string{content} + "]}";
  };
  const auto response = [&](std::string_view status, std::string_view output, bool done) {
    const auto count = done ? words.size() : 0;
    return R"({"id":"resp_)" + std::string{unique} + R"(","object":"response","created_at":)" +
           std::to_string(created) + R"(,"status":")" + std::string{status} +
           R"(","error":null,"incomplete_details":null,"instructions":null,)" + R"("metadata":{},"model":)" +
           json_quoted(asked.model) +
           R"(,"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"output":[)" +
           std::string{output} + R"(],"usage":)" +
           (done ? R"({"input_tokens":)" + std::to_string(asked.prompt_words) +
                       R"(,"input_tokens_details":{"cached_tokens":0},"output_tokens":)" +
                       std::to_string(count) +
                       R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
                       std::to_string(asked.prompt_words + count) + "}"
                 : std::string{"null"}) +
           "}";
  };
  const auto whole = response("completed", item("completed", part(asked.text)), true);
  if (!asked.stream) return {200, "application/json", {{false, whole}}};
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  int number = 0;
  const auto say = [&](bool paced, std::string_view name, const std::string& members) {
    answer.pieces.push_back(
        {paced, named_event(name, R"("sequence_number":)" + std::to_string(number++) + "," + members)});
  };
  const auto place = R"("item_id":"msg_)" + std::string{unique} + R"(","output_index":0,"content_index":0)";
  say(false, "response.created", R"("response":)" + response("in_progress", "", false));
  say(false, "response.output_item.added", R"("output_index":0,"item":)" + item("in_progress", ""));
  say(false, "response.content_part.added", place + R"(,"part":)" + part(""));
  for (const auto& word : words) {
    say(true, "response.output_text.delta", place + R"(,"logprobs":[],"delta":)" + json_quoted(word));
  }
  say(false, "response.output_text.done", place + R"(,"logprobs":[],"text":)" + json_quoted(asked.text));
  say(false, "response.content_part.done", place + R"(,"part":)" + part(asked.text));
  say(false, "response.output_item.done",
      R"("output_index":0,"item":)" + item("completed", part(asked.text)));
  say(false, "response.completed", R"("response":)" + whole);
  return answer;
}

fake_answer fake_message(std::string_view body, std::string_view unique) {
  std::string messages = "[]";
  for_each_member(body, [&](std::string_view key, json_token, std::string_view value) {
    if (key == "messages") messages = value;
  });
  const auto asked = read(body, messages);
  const auto words = split_words(asked.text);
  const auto message = [&](std::string_view content, std::string_view reason, std::size_t count) {
    return R"({"id":"msg_)" + std::string{unique} + R"(","type":"message","role":"assistant","model":)" +
           json_quoted(asked.model) + R"(,"content":[)" + std::string{content} + R"(],"stop_reason":)" +
           std::string{reason} + R"(,"stop_sequence":null,"usage":{"input_tokens":)" +
           std::to_string(asked.prompt_words) + R"(,"output_tokens":)" + std::to_string(count) + "}}";
  };
  if (!asked.stream) {
    return {200,
            "application/json",
            {{false, message(R"({"type":"text","text":)" + json_quoted(asked.text) + "}", R"("end_turn")",
                             words.size())}}};
  }
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  const auto say = [&](bool paced, std::string_view name, const std::string& members) {
    answer.pieces.push_back({paced, named_event(name, members)});
  };
  say(false, "message_start", R"("message":)" + message("", "null", 0));
  say(false, "content_block_start", R"("index":0,"content_block":{"type":"text","text":""})");
  for (const auto& word : words) {
    say(true, "content_block_delta",
        R"("index":0,"delta":{"type":"text_delta","text":)" + json_quoted(word) + "}");
  }
  say(false, "content_block_stop", R"("index":0)");
  say(false, "message_delta",
      R"("delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":)" +
          std::to_string(words.size()) + "}");
  say(false, "message_stop", "");
  return answer;
}

fake_answer fake_token_count(std::string_view body) {
  std::string messages = "[]";
  for_each_member(body, [&](std::string_view key, json_token, std::string_view value) {
    if (key == "messages") messages = value;
  });
  return {200,
          "application/json",
          {{false, R"({"input_tokens":)" + std::to_string(read(body, messages).prompt_words) + "}"}}};
}

}  // namespace llm_proxy
