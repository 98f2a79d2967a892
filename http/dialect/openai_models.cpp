#include "http/dialect/openai_models.hpp"

#include "http/json/json_scanner.hpp"
#include "http/json/json_text.hpp"

#include <rapidjson/document.h>

#include <cmath>
#include <unordered_map>
#include <utility>

namespace llm_proxy {

namespace {

using rapidjson::Document;
using rapidjson::Value;

/// Parses without recursion, so that a deeply nested text does not exhaust the stack. Returns null if the
/// text is not JSON.
Document parse(std::string_view json) {
  Document document;
  // RapidJSON takes a NUL byte for the end of the text, so the text is checked first.
  if (!is_valid_json(json)) return document;
  constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
  document.Parse<flags>(json.data(), json.size());
  if (document.HasParseError()) document.SetNull();
  return document;
}

/// Returns null if `object` is not an object or has no such member.
const Value* find(const Value* object, const char* name) {
  if (object == nullptr || !object->IsObject()) return nullptr;
  const auto member = object->FindMember(name);
  return member == object->MemberEnd() ? nullptr : &member->value;
}

/// Returns an empty text if there is no such string.
std::string_view find_string(const Value* object, const char* name) {
  const Value* value = find(object, name);
  return value != nullptr && value->IsString()
             ? std::string_view{value->GetString(), value->GetStringLength()}
             : "";
}

/// Returns the member if it is a whole number above 0, otherwise nullopt.
std::optional<std::int64_t> find_count(const Value* object, const char* name) {
  const Value* value = find(object, name);
  if (value == nullptr || !value->IsNumber()) return std::nullopt;
  if (value->IsInt64()) return value->GetInt64() > 0 ? std::optional{value->GetInt64()} : std::nullopt;
  const double number = value->GetDouble();
  if (!(number >= 1 && number <= 9007199254740992.0) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

/// Returns the array `data` of a list object; nullptr if there is none.
const Value* find_data(const Document& list) {
  const Value* data = find(&list, "data");
  return data != nullptr && data->IsArray() ? data : nullptr;
}

}  // namespace

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
  // One name may stand for several deployments. Each fact is taken from the first deployment that has it.
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
