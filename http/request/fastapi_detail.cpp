#include "http/request/fastapi_detail.hpp"

#include "http/json/json_text.hpp"

#include <array>
#include <string_view>

namespace llm_proxy {

namespace {

/// A kind of JSON value: what pydantic calls it, and pydantic's error type for a value that is not of this
/// kind.
struct kind_words {
  json_kinds kind;
  std::string_view name;
  std::string_view type;
};

constexpr std::array all_kinds{
    kind_words{json_kind(json_token::string), "string", "string_type"},
    kind_words{json_kind(json_token::number), "number", "float_type"},
    kind_words{json_kind(json_token::literal_true), "boolean", "bool_type"},
    kind_words{json_kind(json_token::begin_array), "list", "list_type"},
    kind_words{json_kind(json_token::begin_object), "dictionary", "dict_type"},
};

/// Converts a field's path to the JSON array that FastAPI writes as `loc`: `messages[3].role` becomes
/// `["body","messages",3,"role"]`. The names are those of our rules and hold no dots or brackets.
std::string location_of(std::string_view param) {
  std::string loc = R"(["body")";
  while (!param.empty()) {
    if (param.front() == '[') {
      const auto end = param.find(']');
      loc.append(",").append(param.substr(1, end - 1));
      param.remove_prefix(end + 1);
    } else {
      if (param.front() == '.') param.remove_prefix(1);
      const auto name = param.substr(0, param.find_first_of(".["));
      loc += ',';
      loc += json_quoted(name);
      param.remove_prefix(name.size());
    }
  }
  return loc + "]";
}

std::string entry(std::string_view param, std::string_view message, std::string_view type) {
  return R"({"loc":)" + location_of(param) + R"(,"msg":)" + json_quoted(message) + R"(,"type":)" +
         json_quoted(type) + "}";
}

std::string entry(const field_fault& fault) {
  if (fault.missing) return entry(fault.param, "Field required", "missing");
  std::string message = "Input should be a valid ";
  std::string_view type;
  for (const auto& each : all_kinds) {
    if ((fault.allowed & each.kind) == 0) continue;
    if (!type.empty()) message += " or ";
    message += each.name;
    if (type.empty()) type = each.type;
  }
  return entry(fault.param, message, type);
}

}  // namespace

std::string validation_detail(std::span<const field_fault> faults) {
  std::string list = "[";
  for (const auto& fault : faults) {
    if (list.size() > 1) list += ',';
    list += entry(fault);
  }
  return list + "]";
}

}  // namespace llm_proxy
