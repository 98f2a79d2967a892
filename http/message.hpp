// HTTP heads as values: what the parser makes, what actors pass on, what the writer turns into bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct header {
  std::string name;
  std::string value;
};

/// ASCII letters compared without case (RFC 9110 §5.1: field names are case-insensitive).
bool iequals(std::string_view a, std::string_view b);
bool istarts_with(std::string_view text, std::string_view prefix);

/// Without blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);

/// Header fields in the order they came. Heads have a dozen fields: a linear search is the fastest map.
class header_list {
 public:
  void add(std::string_view name, std::string_view value) {
    fields_.push_back({std::string{name}, std::string{value}});
  }
  void reserve(std::size_t n) { fields_.reserve(n); }
  /// Drops every field of that name.
  void remove(std::string_view name);
  /// The first field of that name, or nullptr.
  const std::string* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  /// True if any field `name` holds `token` in its comma-separated list, in any letter case.
  bool has_token(std::string_view name, std::string_view token) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }

 private:
  std::vector<header> fields_;
};

struct request_head {
  std::string method;
  std::string target;  ///< as sent, query included; an absolute form is cut to its path
  header_list headers;
  unsigned minor_version = 1;  ///< HTTP/1.x
  bool keep_alive = true;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
  bool expects_continue = false;

  /// The target without its query.
  std::string_view path() const { return std::string_view{target}.substr(0, target.find('?')); }
  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

struct response_head {
  unsigned status = 0;
  header_list headers;
};

/// The media type of a content-type value, without parameters: `application/json`.
std::string_view media_type(std::string_view content_type);

/// True if `media` is application/json or has the +json suffix (RFC 6839 §3.1).
bool is_json_media(std::string_view media);

/// The standard reason phrase (RFC 9110 §15), or "Unknown".
std::string_view reason_phrase(unsigned status);

/// RFC 9110 §5.6.2.
bool is_token(std::string_view text);

}  // namespace llm_proxy
