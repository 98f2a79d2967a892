// Reads one level of a JSON text that is completely in memory. The callback gets each member's bytes and may
// walk into them itself. This is for small or rare texts, because each level reads its bytes again.
#pragma once

#include "http/json/json_scanner.hpp"

#include <string_view>

namespace llm_proxy {

/// Calls `f(key, kind, raw)` for each member of the object `json`, in order and including duplicates; a key
/// is cut at json_scanner::text_limit. `kind` is the token that begins the value. Returns false if `json` is
/// not a valid JSON object; `f` may have been called for some members by then.
template <class F>
bool for_each_member(std::string_view json, F f);

/// The same for the elements of an array: `f(kind, raw)`.
template <class F>
bool for_each_element(std::string_view json, F f);

namespace detail {

/// Calls `f(key, kind, value, member)`. `member` has the key too; in an array it means nothing.
template <class F>
bool walk_level(std::string_view json, json_token opening, F f) {
  json_scanner scanner{1};
  bool right_kind = false;
  char key_buffer[json_scanner::text_limit];
  std::string_view key;
  std::size_t member_begin = 0;
  std::size_t begin = 0;
  json_token kind = json_token::error;
  scanner.feed(json, [&](json_token token) {
    if (scanner.depth() == 0) {
      right_kind = right_kind || token == opening;
      return;
    }
    if (!right_kind) return;
    if (token == json_token::key) {
      key = {key_buffer, scanner.text().copy(key_buffer, sizeof key_buffer)};
      member_begin = scanner.token_begin();
      return;
    }
    const bool ends = token == json_token::end_object || token == json_token::end_array;
    if (!ends) {
      kind = token;
      begin = scanner.token_begin();
      if (token == json_token::begin_object || token == json_token::begin_array) return;
    }
    const auto end = scanner.offset();
    f(key, kind, json.substr(begin, end - begin), json.substr(member_begin, end - member_begin));
  });
  return scanner.finish() && right_kind;
}

}  // namespace detail

template <class F>
bool for_each_member(std::string_view json, F f) {
  return detail::walk_level(json, json_token::begin_object,
                            [&f](std::string_view key, json_token kind, std::string_view value,
                                 std::string_view) { f(key, kind, value); });
}

template <class F>
bool for_each_element(std::string_view json, F f) {
  return detail::walk_level(
      json, json_token::begin_array,
      [&f](std::string_view, json_token kind, std::string_view raw, std::string_view) { f(kind, raw); });
}

}  // namespace llm_proxy
