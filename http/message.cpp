#include "http/message.hpp"

#include <algorithm>
#include <array>

// clang-format off: Boost 1.81's string_view needs ostream and does not include it
#include <boost/beast/http/status.hpp>

#include <ostream>
// clang-format on

namespace llm_proxy {

namespace {

constexpr auto token_chars = [] {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view{"!#$%&'*+-.^_`|~"}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

}  // namespace

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void header_list::add(std::string_view name, std::string_view value) {
  fields_.push_back({static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()),
                     static_cast<std::uint32_t>(value.size())});
  text_ += name;
  text_ += value;
}

void header_list::reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields);
  text_.reserve(bytes);
}

void header_list::remove(std::string_view name) {
  keep_if([&](std::string_view each) { return !iequals(each, name); });
}

std::optional<std::string_view> header_list::find(std::string_view name) const {
  for (const auto field : *this) {
    if (iequals(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::size_t header_list::count(std::string_view name) const {
  std::size_t found = 0;
  for (const auto field : *this) found += iequals(field.name, name) ? 1 : 0;
  return found;
}

bool header_list::has_token(std::string_view name, std::string_view token) const {
  for (const auto field : *this) {
    if (!iequals(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      if (iequals(trimmed(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

std::string_view media_type(std::string_view content_type) {
  return trimmed(content_type.substr(0, content_type.find(';')));
}

bool has_boundary(std::string_view content_type) {
  constexpr std::string_view name = "boundary=";
  for (auto at = content_type.find(';'); at != std::string_view::npos; at = content_type.find(';')) {
    content_type.remove_prefix(at + 1);
    auto parameter = trimmed(content_type.substr(0, content_type.find(';')));
    if (!istarts_with(parameter, name)) continue;
    parameter.remove_prefix(name.size());
    if (parameter.size() >= 2 && parameter.front() == '"' && parameter.back() == '"')
      parameter = parameter.substr(1, parameter.size() - 2);
    return !parameter.empty() && parameter.size() <= 70;
  }
  return false;
}

bool is_json_media(std::string_view media) {
  return iequals(media, "application/json") ||
         (media.size() > 5 && iequals(media.substr(media.size() - 5), "+json"));
}

std::string_view reason_phrase(unsigned status) {
  const auto phrase = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  return phrase.empty() || phrase.front() == '<' ? std::string_view{"Unknown"}
                                                 : std::string_view{phrase.data(), phrase.size()};
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return token_chars[static_cast<unsigned char>(c)]; });
}

}  // namespace llm_proxy
