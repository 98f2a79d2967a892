#include "adapters/fake/fake_instance.hpp"

#include "http/json/json_text.hpp"
#include "http/json/json_walk.hpp"

namespace llm_proxy {

namespace {

constexpr int deepest = 16;  // a schema may refer to itself

std::string instance(std::string_view schema, std::string_view text, int depth) {
  std::string type;
  std::string chosen;
  std::string_view properties;
  for_each_member(schema, [&](std::string_view key, json_token kind, std::string_view value) {
    if (key == "type" && kind == json_token::string) type = json_unescaped(value);
    if (key == "type" && kind == json_token::begin_array) {
      for_each_element(value, [&](json_token, std::string_view each) {
        if (type.empty()) type = json_unescaped(each);
      });
    }
    if (key == "const") chosen = value;
    if (key == "enum") {
      for_each_element(value, [&](json_token, std::string_view each) {
        if (chosen.empty()) chosen = each;
      });
    }
    if (key == "properties" && kind == json_token::begin_object) properties = value;
  });
  if (!chosen.empty()) return chosen;
  if (type == "string") return json_quoted(text);
  if (type == "integer" || type == "number") return "0";
  if (type == "boolean") return "false";
  if (type == "array") return "[]";
  if (type == "null" || depth == deepest) return "null";
  std::string members;
  for_each_member(properties, [&](std::string_view key, json_token, std::string_view value) {
    members += (members.empty() ? "" : ",") + json_quoted(key) + ":" + instance(value, text, depth + 1);
  });
  return "{" + members + "}";
}

}  // namespace

std::string fake_instance(std::string_view schema, std::string_view text) {
  return instance(schema, text, 0);
}

}  // namespace llm_proxy
