#include "http/wire/session_headers.hpp"

#include "http/wire/message.hpp"

#include <algorithm>
#include <array>

namespace llm_proxy {

namespace {

constexpr auto agent_prefixes = std::to_array<std::string_view>({"x-codex-", "x-claude-"});

constexpr auto credential_words =
    std::to_array<std::string_view>({"auth", "token", "secret", "key", "cookie"});
constexpr auto other_words = std::to_array<std::string_view>({"user", "aws", "amz"});

constexpr std::size_t longest_id = 128;
constexpr auto id_chars = detail::letters_digits_and("_-.:");

bool contains_word(std::string_view name, std::string_view word) {
  for (std::size_t at = 0; at + word.size() <= name.size(); ++at) {
    if (iequals(name.substr(at, word.size()), word)) return true;
  }
  return false;
}

template <class Words>
bool contains_one(const Words& words, std::string_view name) {
  return std::any_of(words.begin(), words.end(), [name](auto word) { return contains_word(name, word); });
}

bool is_id(std::string_view value) {
  return !value.empty() && value.size() <= longest_id && std::all_of(value.begin(), value.end(), [](char c) {
    return id_chars[static_cast<unsigned char>(c)];
  });
}

}  // namespace

bool is_agent_header(std::string_view name) {
  return std::any_of(agent_prefixes.begin(), agent_prefixes.end(),
                     [name](auto prefix) { return istarts_with(name, prefix); }) &&
         !contains_one(credential_words, name);
}

bool is_vendor_session(std::string_view name, std::string_view value) {
  constexpr std::string_view begin = "x-";
  constexpr std::string_view end = "-session-id";
  if (name.size() <= begin.size() + end.size() || !istarts_with(name, begin)) return false;
  if (!iequals(name.substr(name.size() - end.size()), end)) return false;
  return !contains_one(credential_words, name) && !contains_one(other_words, name) && is_id(value);
}

std::string_view session_of_baggage(std::string_view baggage) {
  for (auto rest = baggage;;) {
    const auto comma = rest.find(',');
    const auto member = rest.substr(0, comma);
    const auto entry = trimmed(member.substr(0, member.find(';')));
    const auto equals = entry.find('=');
    const bool is_session =
        equals != std::string_view::npos && trimmed(entry.substr(0, equals)) == "session.id";
    if (is_session && equals + 1 < entry.size()) return entry;
    if (comma == std::string_view::npos) return {};
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace llm_proxy
