// A strict JSON (RFC 8259) scanner that is fed bytes in pieces of any size and shows their tokens.
// It never recurses and needs one bit per open container, so nesting costs neither stack nor time.
// It keeps no document: whoever reads tokens sees keys, kinds and byte ranges down to a chosen depth; what
// lies deeper is validated at full speed and not shown.
#pragma once

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
  error,  // no token: the text is no JSON, see fault()
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

enum class json_fault : std::uint8_t {
  none,
  unexpected_byte,
  unexpected_end,
  trailing_data,
  bad_literal,
  bad_number,
  bad_escape,
  control_byte,
  bad_utf8,
  too_deep,
};

/// What is wrong, as half a sentence for people.
std::string_view describe(json_fault fault);

class json_scanner {
 public:
  /// text() holds at most this many bytes; names to compare with must be shorter.
  static constexpr std::size_t text_limit = 48;
  static constexpr std::uint32_t any_depth = std::numeric_limits<std::uint32_t>::max();

  /// Tokens with more than `watch_depth` containers around them are not shown (the top value has none, its
  /// members have one). Nesting beyond `max_depth` is a fault: a bound on memory (one bit a level).
  explicit json_scanner(std::uint32_t watch_depth = 0, std::uint32_t max_depth = any_depth)
      : watched_below_(watch_depth + 1), shown_below_(watch_depth + 1), max_depth_(max_depth) {}

  /// Takes all of `input` and calls `show(json_token)` for each watched token: for scalars and keys when they
  /// end, for containers when they begin and when they end. False: the text is no JSON.
  template <class Show>
  bool feed(std::string_view input, Show&& show) {
    using callable = std::remove_reference_t<Show>;
    return scan(input, {[](void* it, json_token token) { (*static_cast<callable*>(it))(token); },
                        std::addressof(show)});
  }
  bool feed(std::string_view input) {
    return feed(input, [](json_token) {});
  }

  /// While a key is shown: its value, and whatever is in it, will not be.
  void skip_value() { shown_below_ = token_depth_; }

  /// The text ends here. False: it is no JSON. (A number as the top value ends only now and is not shown.)
  bool finish();

  /// Begins a new text.
  void reset();

  /// Containers around the last token.
  std::uint32_t depth() const { return token_depth_; }
  /// Unescaped text of the last key or string, or the spelling of a number; its first `text_limit` bytes. The
  /// same at any split of the input. A lone surrogate escape reads as U+FFFD. Valid while the token is shown.
  std::string_view text() const { return text_; }
  /// Offset in the whole text of the last token's first byte (a string's opening quote).
  std::uint64_t token_begin() const { return token_begin_; }
  /// Bytes taken so far: while a token is shown its end; after a fault the offset of the byte at fault.
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

  /// Who is shown the tokens, behind one pointer: the automaton is compiled once, and called once a piece.
  struct audience {
    void (*show)(void* it, json_token token);
    void* it;
  };

  /// What scan() works on, in registers.
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
  const char* literal_rest_ = nullptr;  // what must still come of true, false, null
  std::uint32_t depth_ = 0;
  std::uint32_t token_depth_ = 0;
  std::uint32_t watched_below_;
  std::uint32_t shown_below_;  // less than watched_below_: a value is skipped, until the next key there
  std::uint32_t max_depth_;
  std::uint16_t hex_value_ = 0;
  std::uint16_t high_surrogate_ = 0;  // of an escaped pair whose second half may follow
  state state_ = state::value;
  json_fault fault_ = json_fault::none;
  json_token literal_ = json_token::error;
  std::uint8_t hex_left_ = 0;
  std::uint8_t utf8_left_ = 0;  // bytes that must still come, the next one in [utf8_low_, utf8_high_]
  std::uint8_t utf8_low_ = 0;
  std::uint8_t utf8_high_ = 0;
  std::uint8_t kept_size_ = 0;
  bool is_key_ = false;  // of the string being read
  bool keeps_ = false;   // its text goes through kept_: it has escapes, or the input's end cut it
  std::array<char, text_limit> kept_;  // NOLINT: written before it is read
};

/// Whether `text` is one JSON text by RFC 8259, in valid UTF-8, with nothing after it.
bool is_valid_json(std::string_view text);

/// The same, and its top value is an object.
bool is_json_object(std::string_view text);

}  // namespace llm_proxy
