#include "http/openai.hpp"

#include "http/completion_reader.hpp"
#include "http/json_text.hpp"
#include "http/json_walk.hpp"

#include <rapidjson/document.h>

#include <charconv>
#include <cmath>
#include <unordered_map>
#include <utility>

namespace llm_proxy {

namespace {

/// An HTTP error status as `code` spells it, else 0.
int error_status(std::string_view code) {
  int status = 0;
  const auto [end, fault] = std::from_chars(code.data(), code.data() + code.size(), status);
  const bool whole = fault == std::errc{} && end == code.data() + code.size();
  return whole && status >= 400 && status <= 599 ? status : 0;
}

/// A string's text, "None" being none.
std::string text_or_none(json_token kind, std::string_view raw) {
  if (kind != json_token::string) return {};
  auto text = json_unescaped(raw);
  return text == "None" ? std::string{} : text;
}

/// The last member of an object with that name; an empty text if there is none.
std::pair<json_token, std::string_view> member_of(std::string_view object, std::string_view name) {
  std::pair<json_token, std::string_view> found{json_token::error, {}};
  for_each_member(object, [&](std::string_view key, json_token kind, std::string_view raw) {
    if (key == name) found = {kind, raw};
  });
  return found;
}

/// An error object may hold nothing but another one.
std::string_view innermost_error(std::string_view object) {
  constexpr int deepest = 4;
  for (int depth = 0; depth < deepest; ++depth) {
    const auto [kind, inner] = member_of(object, "error");
    if (kind != json_token::begin_object || member_of(object, "message").first == json_token::string) break;
    object = inner;
  }
  return object;
}

void read_error_object(std::string_view object, embedded_error& error) {
  int status = 0;  // of members that are there for it
  for_each_member(object, [&](std::string_view key, json_token kind, std::string_view raw) {
    const auto text = kind == json_token::number ? std::string{raw} : text_or_none(kind, raw);
    if (key == "type" && kind == json_token::string) error.type = text;
    if (key == "message" && kind == json_token::string) error.message = text;
    if (key == "code") error.code = text;
    if (key == "status" || key == "status_code") {
      if (const int number = error_status(text)) status = number;
      if (key == "status" && kind == json_token::string && error_status(text) == 0) error.status_name = text;
    }
  });
  error.status = error_status(error.code);
  if (error.status == 0) error.status = status;
}

using rapidjson::Document;
using rapidjson::Value;

/// Parses without recursion (a deep text must not exhaust the stack). A text that is no JSON gives null.
Document parse(std::string_view json) {
  Document document;
  // RapidJSON takes a NUL for the end of the text.
  if (!is_valid_json(json)) return document;
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  document.Parse<flags>(json.data(), json.size());
  if (document.HasParseError()) document.SetNull();
  return document;
}

/// nullptr: `object` is none, or has no such member.
const Value* find(const Value* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto member = object->FindMember(name);
  return member == object->MemberEnd() ? nullptr : &member->value;
}

/// Empty: no string there.
std::string_view find_string(const Value* object, const char* name) {
  const Value* value = find(object, name);
  return value != nullptr && value->IsString()
             ? std::string_view{value->GetString(), value->GetStringLength()}
             : "";
}

/// A whole number above 0, else nullopt.
std::optional<std::int64_t> find_count(const Value* object, const char* name) {
  const Value* value = find(object, name);
  if (value == nullptr || !value->IsNumber()) return std::nullopt;
  if (value->IsInt64()) return value->GetInt64() > 0 ? std::optional{value->GetInt64()} : std::nullopt;
  const double number = value->GetDouble();
  if (!(number >= 1 && number <= 9007199254740992.0) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

/// The elements of the array `data` of a list object; nullptr: there is none.
const Value* find_data(const Document& list) {
  const Value* data = find(&list, "data");
  return data != nullptr && data->IsArray() ? data : nullptr;
}

}  // namespace

bool is_json_object(std::string_view json) {
  json_scanner scanner;
  bool is_object = false;
  scanner.feed(json, [&](json_token token) { is_object = token == json_token::end_object; });
  return scanner.finish() && is_object;
}

std::optional<token_usage> read_usage(std::string_view completion_json) {
  completion_reader reader;
  reader.feed(completion_json);
  return reader.finish() ? reader.usage : std::nullopt;
}

std::string_view sole_object(std::string_view json) {
  std::string_view found;
  std::size_t elements = 0;
  const bool is_array = for_each_element(json, [&](json_token kind, std::string_view raw) {
    if (elements++ == 0 && kind == json_token::begin_object) found = raw;
  });
  return is_array && !found.empty() ? found : json;
}

std::string as_error(std::string event_data) {
  if (find_error(sole_object(event_data)).present) return event_data;
  bool is_bare = false;
  const bool is_object =
      for_each_member(event_data, [&](std::string_view key, json_token kind, std::string_view) {
        is_bare = is_bare || ((key == "message" || key == "code") && kind == json_token::string);
      });
  if (is_object) return is_bare ? R"({"error":)" + event_data + "}" : event_data;
  const bool is_text = !is_valid_json(event_data);
  if (is_text) return R"({"error":)" + json_quoted(event_data) + "}";
  return event_data.find('"') == event_data.find_first_not_of(" \t\r\n") ? R"({"error":)" + event_data + "}"
                                                                         : event_data;
}

embedded_error find_error(std::string_view json) {
  // Usually there is none, and one pass that keeps nothing tells.
  completion_reader reader;
  reader.feed(json);
  embedded_error error;
  if (!reader.finish()) return error;
  if (reader.error) {
    error.present = true;
    const auto [kind, raw] = member_of(json, "error");
    if (kind == json_token::string) error.message = json_unescaped(raw);
    if (kind == json_token::begin_object) read_error_object(innermost_error(raw), error);
  } else if (reader.type() == "response.failed") {
    const auto [kind, raw] = member_of(member_of(json, "response").second, "error");
    error.present = kind == json_token::begin_object;
    if (error.present) read_error_object(raw, error);
  } else if (reader.type() == "error" || reader.is_error) {
    error.present = true;
    read_error_object(json, error);
    if (reader.type() == "error") error.type.clear();  // it is the event's
  }
  return error;
}

std::optional<std::vector<model_entry>> read_models(std::string_view v1_models_json) {
  const Document list = parse(v1_models_json);
  const Value* data = find_data(list);
  if (data == nullptr) return std::nullopt;
  std::vector<model_entry> models;
  for (const Value& item : data->GetArray()) {
    const auto id = find_string(&item, "id");
    if (id.empty()) continue;
    model_entry model;
    model.id = model.name = id;
    model.created = find_count(&item, "created").value_or(model.created);
    if (const auto owner = find_string(&item, "owned_by"); !owner.empty()) model.owned_by = owner;
    auto context = find_count(&item, "context_length");
    if (!context) context = find_count(&item, "max_input_tokens");
    model.context_length = context.value_or(model.context_length);
    model.mode = find_string(&item, "mode");
    model.max_input_tokens = find_count(&item, "max_input_tokens");
    model.max_output_tokens = find_count(&item, "max_output_tokens");
    models.push_back(std::move(model));
  }
  return models;
}

void enrich_models(std::vector<model_entry>& models, std::string_view model_info_json) {
  const Document list = parse(model_info_json);
  const Value* data = find_data(list);
  if (data == nullptr) return;
  // One name may stand for several deployments: the first one that says a thing counts.
  struct facts {
    std::optional<std::int64_t> context_length;
    std::optional<std::int64_t> max_output_tokens;
    std::string_view provider;
    std::string_view mode;
  };
  std::unordered_map<std::string_view, facts> by_name;
  for (const Value& item : data->GetArray()) {
    const Value* info = find(&item, "model_info");
    auto& known = by_name[find_string(&item, "model_name")];
    if (!known.context_length) known.context_length = find_count(info, "max_input_tokens");
    if (!known.max_output_tokens) known.max_output_tokens = find_count(info, "max_output_tokens");
    if (known.provider.empty()) known.provider = find_string(info, "litellm_provider");
    if (known.mode.empty()) known.mode = find_string(info, "mode");
  }
  for (auto& model : models) {
    const auto known = by_name.find(model.id);
    if (known == by_name.end()) continue;
    model.context_length = known->second.context_length.value_or(model.context_length);
    if (!known->second.provider.empty()) model.provider = known->second.provider;
    if (model.mode.empty()) model.mode = known->second.mode;
    if (!model.max_input_tokens) model.max_input_tokens = known->second.context_length;
    if (!model.max_output_tokens) model.max_output_tokens = known->second.max_output_tokens;
  }
}

std::string llm_models_body(const std::vector<model_entry>& models) {
  std::string body = "[";
  for (const auto& model : models) {
    if (body.size() > 1) body += ',';
    body += R"({"id":)" + json_quoted(model.id) + R"(,"name":)" + json_quoted(model.name) +
            R"(,"provider":)" + json_quoted(model.provider) + R"(,"context_length":)" +
            std::to_string(model.context_length) + R"(,"is_available":)" +
            (model.is_available ? "true" : "false") + "}";
  }
  return body + "]";
}

std::string models_list_body(const std::vector<model_entry>& models) {
  std::string items;
  for (const auto& model : models) {
    if (!items.empty()) items += ',';
    items += model_body(model);
  }
  return R"({"object":"list","data":[)" + items + "]}";
}

std::string model_body(const model_entry& model) {
  std::string body = R"({"id":)" + json_quoted(model.id) + R"(,"object":"model","created":)" +
                     std::to_string(model.created) + R"(,"owned_by":)" + json_quoted(model.owned_by);
  if (!model.mode.empty()) body += R"(,"mode":)" + json_quoted(model.mode);
  if (model.max_input_tokens) body += R"(,"max_input_tokens":)" + std::to_string(*model.max_input_tokens);
  if (model.max_output_tokens) body += R"(,"max_output_tokens":)" + std::to_string(*model.max_output_tokens);
  return body + "}";
}

}  // namespace llm_proxy
