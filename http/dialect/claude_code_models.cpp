#include "http/dialect/claude_code_models.hpp"

#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <cstddef>

namespace llm_proxy {

namespace {

constexpr std::string_view made_up = "claude-router-";
constexpr std::string_view context_mark = "[1m]";

bool contains_ignoring_case(std::string_view text, std::string_view word) {
  for (std::size_t at = 0; at + word.size() <= text.size(); ++at) {
    if (iequals(text.substr(at, word.size()), word)) return true;
  }
  return false;
}

}  // namespace

bool is_claude_code(const header_list& headers) {
  const auto agent = headers.find("user-agent").value_or("");
  const auto client = headers.find("x-gateway-client").value_or("");
  return agent.starts_with("claude-cli/") || agent.starts_with("claude-code/") ||
         iequals(client, "claude-code");
}

std::string claude_code_id(std::string_view name) {
  if (contains_ignoring_case(name, "claude") || contains_ignoring_case(name, "anthropic"))
    return std::string{name};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id{made_up};
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    id += digits[byte >> 4];
    id += digits[byte & 0xF];
  }
  return id;
}

std::string name_behind_claude_code_id(std::string_view id) {
  id = without_context_mark(id);
  if (!id.starts_with(made_up)) return {};
  const auto digits = id.substr(made_up.size());
  if (digits.size() % 2 != 0) return {};
  std::string name;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto high = hex_digit(digits[i]), low = hex_digit(digits[i + 1]);
    if (high < 0 || low < 0) return {};
    name += static_cast<char>(high * 16 + low);
  }
  return name;
}

std::string_view without_context_mark(std::string_view name) {
  const bool is_marked = name.size() >= context_mark.size() &&
                         iequals(name.substr(name.size() - context_mark.size()), context_mark);
  return is_marked ? name.substr(0, name.size() - context_mark.size()) : name;
}

}  // namespace llm_proxy
