#include "http/json/json_members.hpp"

#include <algorithm>
#include <cstddef>

namespace llm_proxy {

std::optional<std::vector<json_member>> json_members(std::string_view json) {
  std::vector<json_member> members;
  json_scanner scanner{1};
  bool is_object = false;
  std::size_t member_begin = 0;
  std::size_t value_begin = 0;
  json_token kind = json_token::error;
  std::string key;
  scanner.feed(json, [&](json_token token) {
    if (scanner.depth() == 0) {
      is_object = is_object || token == json_token::begin_object;
      return;
    }
    if (!is_object) return;
    if (token == json_token::key) {
      member_begin = scanner.token_begin();
      key = scanner.text();
      return;
    }
    const bool ends = token == json_token::end_object || token == json_token::end_array;
    if (!ends) {
      kind = token;
      value_begin = scanner.token_begin();
      if (token == json_token::begin_object || token == json_token::begin_array) return;
    }
    const auto end = scanner.offset();
    members.push_back({key, json.substr(member_begin, end - member_begin),
                       json.substr(value_begin, end - value_begin), kind});
  });
  if (!scanner.finish() || !is_object) return std::nullopt;
  return members;
}

const json_member* find_member(const std::vector<json_member>& members, std::string_view key) {
  const auto found = std::find_if(members.rbegin(), members.rend(),
                                  [&](const json_member& each) { return each.key == key; });
  return found == members.rend() ? nullptr : &*found;
}

}  // namespace llm_proxy
