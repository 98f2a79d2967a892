// The members of a JSON object, as views into its text. With it an object can be written anew with some
// members left out or replaced, and all others byte for byte.
#pragma once

#include "http/json/json_scanner.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct json_member {
  std::string key;       ///< unescaped, cut at json_scanner::text_limit
  std::string_view raw;  ///< the whole member: key, colon and value
  std::string_view value;
  json_token kind;  ///< the token that begins the value
};

/// Returns all members of `json` in order, duplicates included; nullopt if it is not a valid JSON object. The
/// views are valid as long as the text of `json`.
std::optional<std::vector<json_member>> json_members(std::string_view json);

/// Returns the last member of that name, which is the one that counts; null if there is none.
const json_member* find_member(const std::vector<json_member>& members, std::string_view key);

}  // namespace llm_proxy
