// A strict JSON (RFC 8259) scanner that is fed bytes in pieces of any size and shows their tokens. It never
// recurses and needs one bit per open container, so nesting costs neither stack nor time. It keeps no
// document. The reader of the tokens sees keys, kinds and byte ranges down to a chosen depth. Deeper values
// are validated at full speed and not shown.
#pragma once

#include "http/json/json_fault.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace llm_proxy {

enum class json_token : std::uint8_t {
  more,   // no token: the input is used up
  error,  // no token: the text is not JSON, see fault()
  begin_object,
  end_object,
  begin_array,
  end_array,
  key,
  string,
  number,
  literal_true,
  literal_false,
  literal_null,
};

class json_scanner {
 public:
  /// text() holds at most this many bytes; names to compare with must be shorter.
  static constexpr std::size_t text_limit = 48;
  static constexpr std::uint32_t any_depth = std::numeric_limits<std::uint32_t>::max();

  /// Tokens with more than `watch_depth` containers around them are not shown (the top value has none, its
  /// members have one). Nesting beyond `max_depth` is a fault, which limits the memory (one bit per level).
  explicit json_scanner(std::uint32_t watch_depth = 0, std::uint32_t max_depth = any_depth)
      : watched_below_(watch_depth + 1), shown_below_(watch_depth + 1), max_depth_(max_depth) {}

  /// Takes all of `input` and calls `show(json_token)` for each watched token: for scalars and keys when they
  /// end, for containers when they begin and when they end. Returns false if the text is not JSON.
  template <class Show>
  bool feed(std::string_view input, Show&& show) {
    using callable = std::remove_reference_t<Show>;
    return scan(input, {[](void* it, json_token token) { (*static_cast<callable*>(it))(token); },
                        std::addressof(show)});
  }
  bool feed(std::string_view input) {
    return feed(input, [](json_token) {});
  }

  /// May be called while a key is shown. Its value and everything inside the value will not be shown.
  void skip_value() { shown_below_ = token_depth_; }

  /// Says that the text ends here. Returns false if it is not JSON. (A number as the top value ends only now
  /// and is not shown.)
  bool finish();

  /// Begins a new text.
  void reset();

  /// Returns the number of containers around the last token.
  std::uint32_t depth() const { return token_depth_; }
  /// Returns the unescaped text of the last key or string, or the spelling of a number, cut after
  /// `text_limit` bytes. It does not depend on how the input is split. A lone surrogate escape becomes
  /// U+FFFD. The view is valid while the token is shown.
  std::string_view text() const { return text_; }
  /// Returns the offset in the whole text of the last token's first byte (a string's opening quote).
  std::uint64_t token_begin() const { return token_begin_; }
  /// Returns the number of bytes taken so far. While a token is shown this is the token's end; after a fault
  /// it is the offset of the faulty byte.
  std::uint64_t offset() const { return offset_; }
  json_fault fault() const { return fault_; }

 private:
  enum class state : std::uint8_t {
    value,          // a value must come
    first_element,  // after '[': a value or ']'
    first_key,      // after '{': a key or '}'
    next_key,       // after ',' in an object: a key
    colon,          // after a key
    after_value,    // ',' or the container's end; at depth 0 only white space
    // White space may come before each of the above and before none of those below.
    string,
    escape,   // after '\'
    hex,      // inside the four digits of a \u escape
    utf8,     // inside a UTF-8 sequence that the input's end has cut
    literal,  // inside true, false, null
    number_start,
    number_minus,
    number_zero,
    number_integer,
    number_dot,
    number_fraction,
    number_e,
    number_e_sign,
    number_exponent,
  };

  /// The callback without its type. So the state machine is compiled once, and not once per kind of callback.
  struct audience {
    void (*show)(void* it, json_token token);
    void* it;
  };

  /// The state that scan() works on, kept in registers.
  struct cursor {
    bool in_object() const { return (nesting & 1U) != 0; }
    std::uint64_t offset() const { return origin + reinterpret_cast<std::uintptr_t>(p); }

    const char* p;
    const char* end;
    std::uint64_t origin;  // added to an address, modulo 2^64, it is the offset in the whole text
    std::uint64_t nesting;
    std::uint32_t depth;
    json_scanner::state state;
  };

  static bool may_end_number(state last) {
    return last == state::number_zero || last == state::number_integer || last == state::number_fraction ||
           last == state::number_exponent;
  }

  bool watched(const cursor& in) const { return in.depth < shown_below_; }
  bool scan(std::string_view input, audience who);
  json_token fail(json_fault fault);
  json_token show(const cursor& in, json_token token);

  json_token step(cursor& in);
  bool skip_space(cursor& in);
  json_token begin_container(cursor& in);
  json_token end_container(cursor& in);
  void begin_scalar(cursor& in, state first);
  json_token scan_string(cursor& in);
  json_token begin_utf8(cursor& in);
  json_token scan_utf8(cursor& in);
  json_token scan_escape(cursor& in);
  json_token scan_hex(cursor& in);
  json_token scan_literal(cursor& in);
  json_token scan_number(cursor& in);

  void keep(const cursor& in, const char* piece, const char* end);
  void end_text(const cursor& in, const char* piece, const char* end);
  void keep(const char* piece, const char* end);
  void keep_code_unit(std::uint32_t unit);
  void keep_code_point(std::uint32_t code_point);
  void keep_lone_surrogate();

  std::uint64_t offset_ = 0;
  std::uint64_t token_begin_ = 0;
  std::uint64_t nesting_ = 0;           // the innermost 64 containers, one bit each: object or array
  std::vector<std::uint64_t> outer_;    // the containers around those
  std::string_view text_;               // into the input, or into kept_
  const char* literal_rest_ = nullptr;  // the part of true, false or null that has not arrived
  std::uint32_t depth_ = 0;
  std::uint32_t token_depth_ = 0;
  std::uint32_t watched_below_;
  std::uint32_t shown_below_;  // less than watched_below_ while a value is skipped
  std::uint32_t max_depth_;
  std::uint16_t hex_value_ = 0;
  std::uint16_t high_surrogate_ = 0;  // the first half of an escaped pair, if the second may follow
  state state_ = state::value;
  json_fault fault_ = json_fault::none;
  json_token literal_ = json_token::error;
  std::uint8_t hex_left_ = 0;
  std::uint8_t utf8_left_ = 0;  // missing bytes; the next one must be in [utf8_low_, utf8_high_]
  std::uint8_t utf8_low_ = 0;
  std::uint8_t utf8_high_ = 0;
  std::uint8_t kept_size_ = 0;
  bool is_key_ = false;  // whether the string being read is a key
  bool keeps_ = false;   // its text is copied to kept_, because it has escapes or the input's end cut it
  std::array<char, text_limit> kept_;  // NOLINT: written before it is read
};

/// Whether `text` is one JSON text by RFC 8259, in valid UTF-8, with nothing after it.
bool is_valid_json(std::string_view text);

/// The same, and also whether its top value is an object.
bool is_json_object(std::string_view text);

}  // namespace llm_proxy
