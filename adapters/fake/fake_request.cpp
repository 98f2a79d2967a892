#include "adapters/fake/fake_request.hpp"

#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

#include <optional>
#include <utility>

namespace llm_proxy {

namespace {

/// Returns the text of the string member `name` of an object; empty if there is none.
std::string text_member(std::string_view object, std::string_view name) {
  std::string text;
  for_each_member(object, [&](std::string_view key, json_token kind, std::string_view value) {
    if (key == name) text = kind == json_token::string ? json_unescaped(value) : std::string{};
  });
  return text;
}

/// Returns the bytes of the member `name` of an object; empty if there is none.
std::string_view raw_member(std::string_view object, std::string_view name) {
  std::string_view raw;
  for_each_member(object, [&](std::string_view key, json_token, std::string_view value) {
    if (key == name) raw = value;
  });
  return raw;
}

/// Returns the text of a content: a string, or the joined text parts of an array. The dialects have different
/// names for the type of such a part.
std::string read_content(std::string_view raw) {
  if (raw.substr(0, 1) == "\"") return json_unescaped(raw);
  std::string text;
  for_each_element(raw, [&text](json_token, std::string_view part) {
    const auto type = text_member(part, "type");
    if (type == "text" || type == "input_text" || type == "output_text") text += text_member(part, "text");
  });
  return text;
}

/// Follows a conversation, in the order in which it was held, to what the mock has to answer: a tool's result
/// if that is the last word, or else the last words of a user. Instructions (system, developer) are part of
/// neither, wherever they stand.
class conversation {
 public:
  void add_user(std::string text) {
    user_text_ = std::move(text);
    result_.reset();
  }
  void add_result(std::string text) { result_ = std::move(text); }
  /// The model has spoken or called a tool, so that the results before it are answered.
  void add_model() { result_.reset(); }

  void put_into(fake_request& request) && {
    request.after_tools = result_.has_value();
    request.user_text = std::move(result_ ? *result_ : user_text_);
  }

 private:
  std::string user_text_;
  std::optional<std::string> result_;  // of the last tool; nullopt if it is not the last word
};

/// Reads chat's messages.
conversation read_chat_messages(std::string_view messages) {
  conversation held;
  for_each_element(messages, [&](json_token, std::string_view message) {
    const auto role = text_member(message, "role");
    const auto text = [&] { return read_content(raw_member(message, "content")); };
    if (role == "user") held.add_user(text());
    if (role == "tool" || role == "function") held.add_result(text());
    if (role == "assistant") held.add_model();
  });
  return held;
}

/// Reads the input items of the Responses API: messages, calls and the outputs of calls.
conversation read_items(std::string_view items) {
  conversation held;
  for_each_element(items, [&](json_token, std::string_view item) {
    const auto type = text_member(item, "type");
    const auto role = text_member(item, "role");
    // Every kind of tool has items of its own, such as custom_tool_call and custom_tool_call_output.
    if (type.ends_with("_output")) {
      held.add_result(read_content(raw_member(item, "output")));
    } else if (role == "user") {
      held.add_user(read_content(raw_member(item, "content")));
    } else if (role == "assistant" || type.ends_with("_call") || type == "reasoning") {
      held.add_model();
    }
  });
  return held;
}

/// Reads a user's message of Anthropic's API, in which a tool's result is a block. Text after the results is
/// what the user says to them.
void read_user_blocks(std::string_view content, conversation& held) {
  std::string text;
  bool has_result = false;
  for_each_element(content, [&](json_token, std::string_view block) {
    const auto type = text_member(block, "type");
    if (type == "tool_result") {
      has_result = true;
      text.clear();
      held.add_result(read_content(raw_member(block, "content")));
    } else if (type == "text") {
      text += text_member(block, "text");
      held.add_user(text);
    }
  });
  if (!has_result && text.empty()) held.add_user({});
}

/// Reads Anthropic's messages.
conversation read_message_blocks(std::string_view messages) {
  conversation held;
  for_each_element(messages, [&](json_token, std::string_view message) {
    const auto role = text_member(message, "role");
    const auto content = raw_member(message, "content");
    if (role == "assistant") held.add_model();
    if (role != "user") return;
    if (content.starts_with('"')) {
      held.add_user(json_unescaped(content));
    } else {
      read_user_blocks(content, held);
    }
  });
  return held;
}

/// Returns the schema of a format: `{"type":"json_schema","schema":{…}}` or `{"type":"json_object"}`.
std::string read_schema(std::string_view format) {
  const auto type = text_member(format, "type");
  if (type == "json_object") return "{}";
  return type == "json_schema" ? std::string{raw_member(format, "schema")} : std::string{};
}

/// Returns the schema of a format in chat, where it is one level deeper.
std::string read_chat_schema(std::string_view format) {
  if (text_member(format, "type") == "json_object") return "{}";
  return std::string{raw_member(raw_member(format, "json_schema"), "schema")};
}

void add_name(std::string_view function, std::vector<std::string>& names) {
  if (auto name = text_member(function, "name"); !name.empty()) names.push_back(std::move(name));
}

/// Reads the names of functions from an array of tools in which each tool has its name at the top level.
/// Tools of other kinds are run by the provider.
void read_named_tools(std::string_view tools, std::string_view kind, std::vector<std::string>& names) {
  for_each_element(tools, [&](json_token, std::string_view tool) {
    const auto type = text_member(tool, "type");
    if (type.empty() || type == kind) add_name(tool, names);
  });
}

/// Reads the members that have the same names in all dialects.
fake_request read_common(std::string_view body) {
  fake_request request;
  request.model = text_member(body, "model");
  request.stream = raw_member(body, "stream") == "true";
  return request;
}

}  // namespace

fake_request read_fake_chat(std::string_view body) {
  auto request = read_common(body);
  read_chat_messages(raw_member(body, "messages")).put_into(request);
  request.schema = read_chat_schema(raw_member(body, "response_format"));
  request.include_usage = raw_member(raw_member(body, "stream_options"), "include_usage") == "true";
  for_each_element(raw_member(body, "tools"), [&](json_token, std::string_view tool) {
    add_name(raw_member(tool, "function"), request.tools);
  });
  for_each_element(raw_member(body, "functions"),
                   [&](json_token, std::string_view function) { add_name(function, request.tools); });
  return request;
}

fake_request read_fake_response(std::string_view body) {
  auto request = read_common(body);
  const auto input = raw_member(body, "input");
  if (input.substr(0, 1) == "\"") {
    request.user_text = json_unescaped(input);
  } else {
    read_items(input).put_into(request);
  }
  request.schema = read_schema(raw_member(raw_member(body, "text"), "format"));
  read_named_tools(raw_member(body, "tools"), "function", request.tools);
  return request;
}

fake_request read_fake_message(std::string_view body) {
  auto request = read_common(body);
  read_message_blocks(raw_member(body, "messages")).put_into(request);
  request.schema = read_schema(raw_member(raw_member(body, "output_config"), "format"));
  if (request.schema.empty()) request.schema = read_schema(raw_member(body, "output_format"));
  read_named_tools(raw_member(body, "tools"), "custom", request.tools);
  return request;
}

}  // namespace llm_proxy
