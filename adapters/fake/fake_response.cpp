#include "adapters/fake/fake_response.hpp"

#include "adapters/fake/fake_completion.hpp"
#include "http/dialect/sse.hpp"
#include "http/json/json_text.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

/// An item of the output: as it is before its content arrives, and when it is complete.
struct output_item {
  std::string begun;
  std::string whole;
  std::string id;
};

std::string output_text(std::string_view text) {
  return R"({"type":"output_text","text":)" + json_quoted(text) + R"(,"annotations":[]})";
}

output_item message_item(const fake_reply& reply) {
  const auto id = "msg_" + reply.unique;
  const auto written = [&](std::string_view status, const std::string& content) {
    return R"({"id":)" + json_quoted(id) + R"(,"type":"message","role":"assistant","status":")" +
           std::string{status} + R"(","content":[)" + content + "]}";
  };
  return {written("in_progress", ""), written("completed", output_text(reply.text)), id};
}

output_item call_item(const fake_reply& reply, const fake_call& call) {
  const auto id = "fc_" + reply.unique + call.number;
  const auto written = [&](std::string_view status, std::string_view arguments) {
    return R"({"id":)" + json_quoted(id) + R"(,"type":"function_call","call_id":)" +
           json_quoted("call_" + reply.unique + call.number) + R"(,"name":)" + json_quoted(call.name) +
           R"(,"arguments":)" + json_quoted(arguments) + R"(,"status":")" + std::string{status} + "\"}";
  };
  return {written("in_progress", ""), written("completed", call.arguments), id};
}

std::vector<output_item> items_of(const fake_reply& reply) {
  std::vector<output_item> items;
  if (reply.calls.empty()) items.push_back(message_item(reply));
  for (const auto& call : reply.calls) items.push_back(call_item(reply, call));
  return items;
}

std::string usage_object(const token_usage& usage) {
  return R"({"input_tokens":)" + std::to_string(usage.prompt_tokens) +
         R"(,"input_tokens_details":{"cached_tokens":0},"output_tokens":)" +
         std::to_string(usage.completion_tokens) +
         R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
         std::to_string(usage.prompt_tokens + usage.completion_tokens) + "}";
}

/// Returns the response object, either in progress or complete.
std::string response_object(const fake_reply& reply, std::string_view status, std::string_view output,
                            std::string_view usage) {
  return R"({"id":)" + json_quoted("resp_" + reply.unique) + R"(,"object":"response","created_at":)" +
         std::to_string(reply.created) + R"(,"status":")" + std::string{status} +
         R"(","error":null,"incomplete_details":null,"instructions":null,"metadata":{},"model":)" +
         json_quoted(reply.model) +
         R"(,"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","tools":[],"top_p":1.0,"output":[)" +
         std::string{output} + R"(],"usage":)" + std::string{usage} + "}";
}

std::string whole_response(const fake_reply& reply) {
  std::string output;
  for (const auto& item : items_of(reply)) output += (output.empty() ? "" : ",") + item.whole;
  return response_object(reply, "completed", output, usage_object(reply.usage));
}

/// Writes the events of a stream, numbered as in the API.
class event_writer {
 public:
  explicit event_writer(std::vector<fake_piece>& pieces) : pieces_{pieces} {}

  void say(std::string_view name, const std::string& members) { add(false, name, members); }
  /// Writes a piece of the content, which is sent after a pause.
  void say_paced(std::string_view name, const std::string& members) { add(true, name, members); }

 private:
  void add(bool paced, std::string_view name, const std::string& members) {
    pieces_.push_back({paced, "event: " + std::string{name} + "\n" +
                                  sse_event(R"({"type":)" + json_quoted(name) + R"(,"sequence_number":)" +
                                            std::to_string(number_++) + "," + members + "}")});
  }

  std::vector<fake_piece>& pieces_;
  int number_ = 0;
};

void stream_text(const fake_reply& reply, const std::string& place, event_writer& events) {
  const auto part = place + R"(,"content_index":0)";
  events.say("response.content_part.added", part + R"(,"part":)" + output_text(""));
  for (const auto& word : split_words(reply.text)) {
    events.say_paced("response.output_text.delta", part + R"(,"logprobs":[],"delta":)" + json_quoted(word));
  }
  events.say("response.output_text.done", part + R"(,"logprobs":[],"text":)" + json_quoted(reply.text));
  events.say("response.content_part.done", part + R"(,"part":)" + output_text(reply.text));
}

void stream_call(const fake_call& call, const std::string& place, event_writer& events) {
  for (const auto& word : split_words(call.arguments)) {
    events.say_paced("response.function_call_arguments.delta", place + R"(,"delta":)" + json_quoted(word));
  }
  events.say("response.function_call_arguments.done", place + R"(,"name":)" + json_quoted(call.name) +
                                                          R"(,"arguments":)" + json_quoted(call.arguments));
}

fake_answer stream_of(const fake_reply& reply) {
  fake_answer answer{200, "text/event-stream; charset=utf-8", {}};
  event_writer events{answer.pieces};
  const auto begun = R"("response":)" + response_object(reply, "in_progress", "", "null");
  events.say("response.created", begun);
  events.say("response.in_progress", begun);
  const auto items = items_of(reply);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto index = R"("output_index":)" + std::to_string(i);
    events.say("response.output_item.added", index + R"(,"item":)" + items[i].begun);
    const auto place = R"("item_id":)" + json_quoted(items[i].id) + "," + index;
    if (reply.calls.empty()) {
      stream_text(reply, place, events);
    } else {
      stream_call(reply.calls[i], place, events);
    }
    events.say("response.output_item.done", index + R"(,"item":)" + items[i].whole);
  }
  events.say("response.completed", R"("response":)" + whole_response(reply));
  return answer;
}

}  // namespace

fake_answer fake_response(std::string_view body, std::string_view unique, std::int64_t created) {
  const auto request = read_fake_response(body);
  const auto reply = make_fake_reply(request, unique, created);
  if (request.stream) return stream_of(reply);
  return {200, "application/json", {{false, whole_response(reply)}}};
}

fake_answer fake_compaction(std::string_view body, std::string_view unique, std::int64_t created) {
  const auto request = read_fake_response(body);
  const auto reply = make_fake_reply(request, unique, created);
  const auto message =
      R"({"id":)" + json_quoted("msg_" + reply.unique) +
      R"(,"type":"message","role":"user","status":"completed","content":[{"type":"input_text","text":)" +
      json_quoted(request.user_text) + "}]}";
  const auto rest = R"({"id":)" + json_quoted("cmp_" + reply.unique) +
                    R"(,"type":"compaction","encrypted_content":"mock"})";
  return {200,
          "application/json",
          {{false, R"({"id":)" + json_quoted("resp_" + reply.unique) +
                       R"(,"object":"response.compaction","created_at":)" + std::to_string(created) +
                       R"(,"output":[)" + message + "," + rest + R"(],"usage":)" + usage_object(reply.usage) +
                       "}"}}};
}

fake_answer fake_input_tokens(std::string_view body) {
  const auto words = split_words(read_fake_response(body).user_text).size();
  return {200,
          "application/json",
          {{false, R"({"object":"response.input_tokens","input_tokens":)" + std::to_string(words) + "}"}}};
}

}  // namespace llm_proxy
