#include "http/wire/message.hpp"

#include <algorithm>
#include <array>

// clang-format off: Boost 1.81's string_view needs ostream and does not include it
#include <boost/beast/http/status.hpp>

#include <ostream>
// clang-format on

namespace llm_proxy {

namespace {

constexpr auto token_chars = detail::letters_digits_and("!#$%&'*+-.^_`|~");

}  // namespace

void append_header(std::string& out, std::string_view name, std::string_view value) {
  // All in one step, because a request has a dozen fields and each append() would check for room.
  const auto begin = out.size();
  out.resize(begin + name.size() + value.size() + 4);
  char* at = out.data() + begin;
  at = std::copy(name.begin(), name.end(), at);
  *at++ = ':';
  *at++ = ' ';
  at = std::copy(value.begin(), value.end(), at);
  *at++ = '\r';
  *at = '\n';
}

void header_list::add(std::string_view name, std::string_view value) {
  mark(text_.size(), name.size(), text_.size() + name.size(), value.size());
  text_ += name;
  text_ += value;
}

void header_list::reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields);
  text_.reserve(bytes);
}

std::span<char> header_list::hold_text(std::string_view lines) {
  // Reserves room for the fields that are added to a head on its way, too.
  reserve(16, lines.size() + 256);
  text_ = lines;
  return text_;
}

void header_list::mark(std::string_view name, std::string_view value) {
  const auto place_of = [&](std::string_view part) {
    return static_cast<std::size_t>(part.data() - text_.data());
  };
  mark(place_of(name), name.size(), place_of(value), value.size());
}

void header_list::mark(std::size_t name_begin, std::size_t name_size, std::size_t value_begin,
                       std::size_t value_size) {
  fields_.push_back({static_cast<std::uint32_t>(name_begin), static_cast<std::uint32_t>(name_size),
                     static_cast<std::uint32_t>(value_begin), static_cast<std::uint32_t>(value_size)});
}

void header_list::remove(std::string_view name) {
  keep_if([&](std::string_view each) { return !iequals(each, name); });
}

std::optional<std::string_view> header_list::find(std::string_view name) const {
  for (const auto& where : fields_) {
    if (is_named(where, name)) return value_at(where);
  }
  return std::nullopt;
}

std::size_t header_list::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(fields_.begin(), fields_.end(),
                                                [&](const place& where) { return is_named(where, name); }));
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

std::size_t token_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && token_chars[static_cast<unsigned char>(text[size])]) ++size;
  return size;
}

bool is_token(std::string_view text) {
  return !text.empty() && token_size(text) == text.size();
}

}  // namespace llm_proxy
