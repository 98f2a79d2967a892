#include "http/json/json_members.hpp"

#include "http/json/json_walk.hpp"

#include <algorithm>

namespace llm_proxy {

std::optional<std::vector<json_member>> json_members(std::string_view json) {
  std::vector<json_member> members;
  const bool is_object = detail::walk_level(
      json, json_token::begin_object,
      [&](std::string_view key, json_token kind, std::string_view value, std::string_view member) {
        members.push_back({std::string{key}, member, value, kind});
      });
  if (!is_object) return std::nullopt;
  return members;
}

const json_member* find_member(const std::vector<json_member>& members, std::string_view key) {
  const auto found = std::find_if(members.rbegin(), members.rend(),
                                  [&](const json_member& each) { return each.key == key; });
  return found == members.rend() ? nullptr : &*found;
}

}  // namespace llm_proxy
