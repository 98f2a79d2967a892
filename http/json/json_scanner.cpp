#include "http/json/json_scanner.hpp"

#include "http/json/json_bytes.hpp"
#include "http/json/json_text.hpp"

#include <algorithm>
#include <cstring>

namespace llm_proxy {

void json_scanner::reset() {
  offset_ = 0;
  token_begin_ = 0;
  text_ = {};
  depth_ = 0;
  token_depth_ = 0;
  shown_below_ = watched_below_;
  state_ = state::value;
  fault_ = json_fault::none;
  kept_size_ = 0;
  high_surrogate_ = 0;
  keeps_ = false;
  if (outer_.capacity() != 0) std::vector<std::uint64_t>().swap(outer_);
}

inline json_token json_scanner::fail(json_fault fault) {
  fault_ = fault;
  return json_token::error;
}

[[gnu::flatten]] bool json_scanner::scan(std::string_view input, audience who) {
  if (fault_ != json_fault::none) return false;
  const auto origin = offset_ - reinterpret_cast<std::uintptr_t>(input.data());
  cursor in{input.data(), input.data() + input.size(), origin, nesting_, depth_, state_};
  auto token = json_token::more;
  while (in.p != in.end && token != json_token::error) {
    token = step(in);
    if (token <= json_token::error) continue;
    offset_ = in.offset();
    who.show(who.it, token);
  }
  offset_ = in.offset();
  nesting_ = in.nesting;
  depth_ = in.depth;
  state_ = in.state;
  return token != json_token::error;
}

bool json_scanner::finish() {
  if (fault_ == json_fault::none &&
      (depth_ != 0 || (state_ != state::after_value && !may_end_number(state_)))) {
    fault_ = json_fault::unexpected_end;
  }
  return fault_ == json_fault::none;
}

/// Takes one scalar, key or bracket, with the white space, comma or colon before it. The input is not empty;
/// `more` means that there is no token to show yet.
inline json_token json_scanner::step(cursor& in) {
  if (in.state < state::string) {
    if (!skip_space(in)) return json_token::more;
    if (in.state == state::after_value) {
      if (in.depth == 0) return fail(json_fault::trailing_data);
      if (*in.p != ',') return end_container(in);
      ++in.p;
      in.state = in.in_object() ? state::next_key : state::value;
      if (!skip_space(in)) return json_token::more;
    } else if (in.state == state::colon) {
      if (*in.p != ':') return fail(json_fault::unexpected_byte);
      ++in.p;
      in.state = state::value;
      if (!skip_space(in)) return json_token::more;
    }
    const char c = *in.p;
    if (in.state == state::first_key || in.state == state::next_key) {
      if (c == '}' && in.state == state::first_key) return end_container(in);
      if (c != '"') return fail(json_fault::unexpected_byte);
      begin_scalar(in, state::string);
      is_key_ = true;
      if (in.depth == shown_below_) shown_below_ = watched_below_;
    } else if (c == '{' || c == '[') {
      return begin_container(in);
    } else if (c == '"') {
      begin_scalar(in, state::string);
      is_key_ = false;
    } else if (is_digit(c) || c == '-') {
      begin_scalar(in, state::number_start);
    } else if (c == 'n' || c == 't' || c == 'f') {
      begin_scalar(in, state::literal);
      literal_ = c == 'n'   ? json_token::literal_null
                 : c == 't' ? json_token::literal_true
                            : json_token::literal_false;
      literal_rest_ = c == 'n' ? "null" : c == 't' ? "true" : "false";
    } else if (c == ']' && in.state == state::first_element) {
      return end_container(in);
    } else {
      return fail(json_fault::unexpected_byte);
    }
    if (in.p == in.end) return json_token::more;
  }
  switch (in.state) {
    case state::string:
      return scan_string(in);
    case state::literal:
      return scan_literal(in);
    case state::escape:
      return scan_escape(in);
    case state::hex:
      return scan_hex(in);
    case state::utf8:
      return scan_utf8(in);
    default:
      return scan_number(in);
  }
}

/// Returns false if no byte follows the white space yet.
inline bool json_scanner::skip_space(cursor& in) {
  while (in.p != in.end && is_space(*in.p)) ++in.p;
  return in.p != in.end;
}

inline json_token json_scanner::begin_container(cursor& in) {
  const bool object = *in.p == '{';
  const bool shown = watched(in);
  if (in.depth == max_depth_) return fail(json_fault::too_deep);
  if (in.depth % 64 == 0 && in.depth != 0) outer_.push_back(in.nesting);
  in.nesting = in.nesting << 1 | std::uint64_t{object};
  in.state = object ? state::first_key : state::first_element;
  if (shown) {
    token_begin_ = in.offset();
    token_depth_ = in.depth;
  }
  ++in.depth;
  ++in.p;
  if (!shown) return json_token::more;
  return object ? json_token::begin_object : json_token::begin_array;
}

inline json_token json_scanner::end_container(cursor& in) {
  const bool object = in.in_object();
  if (*in.p != (object ? '}' : ']')) return fail(json_fault::unexpected_byte);
  --in.depth;
  in.nesting >>= 1;
  if (in.depth % 64 == 0 && in.depth != 0) {
    in.nesting = outer_.back();
    outer_.pop_back();
  }
  if (in.depth < shown_below_) shown_below_ = watched_below_;
  in.state = state::after_value;
  if (watched(in)) token_begin_ = in.offset();
  ++in.p;
  return show(in, object ? json_token::end_object : json_token::end_array);
}

/// `in.p` points to the scalar's first byte.
inline void json_scanner::begin_scalar(cursor& in, state first) {
  token_begin_ = in.offset();
  if (first == state::string) ++in.p;
  in.state = first;
}

inline json_token json_scanner::show(const cursor& in, json_token token) {
  if (!watched(in)) return json_token::more;
  token_depth_ = in.depth;
  return token;
}

inline json_token json_scanner::scan_string(cursor& in) {
  const char* const piece = in.p;
  for (;;) {
    in.p = find_special(in.p, in.end);
    if (in.p == in.end) {
      keep(in, piece, in.p);
      return json_token::more;
    }
    if (static_cast<signed char>(*in.p) >= 0) break;
    do {
      const auto size = utf8_sequence(in.p, in.end);
      if (size == 0) {  // ill-formed or cut: the slow path decides
        keep(in, piece, in.p);
        return begin_utf8(in);
      }
      in.p += size;
    } while (in.p != in.end && static_cast<signed char>(*in.p) < 0);
  }
  if (*in.p == '"') {
    end_text(in, piece, in.p);
    ++in.p;
    in.state = is_key_ ? state::colon : state::after_value;
    return show(in, is_key_ ? json_token::key : json_token::string);
  }
  if (*in.p != '\\') return fail(json_fault::control_byte);
  keep(in, piece, in.p);
  ++in.p;
  in.state = state::escape;
  return json_token::more;
}

json_token json_scanner::begin_utf8(cursor& in) {
  const auto lead = static_cast<unsigned char>(*in.p);
  utf8_low_ = 0x80;
  utf8_high_ = 0xBF;
  // The table of well-formed sequences, RFC 3629 section 4.
  if (lead >= 0xC2 && lead <= 0xDF) {
    utf8_left_ = 1;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    utf8_left_ = 2;
    if (lead == 0xE0) utf8_low_ = 0xA0;
    if (lead == 0xED) utf8_high_ = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    utf8_left_ = 3;
    if (lead == 0xF0) utf8_low_ = 0x90;
    if (lead == 0xF4) utf8_high_ = 0x8F;
  } else {
    return fail(json_fault::bad_utf8);
  }
  keep(in, in.p, in.p + 1);
  ++in.p;
  in.state = state::utf8;
  return json_token::more;
}

json_token json_scanner::scan_utf8(cursor& in) {
  const auto byte = static_cast<unsigned char>(*in.p);
  if (byte < utf8_low_ || byte > utf8_high_) return fail(json_fault::bad_utf8);
  keep(in, in.p, in.p + 1);
  ++in.p;
  utf8_low_ = 0x80;
  utf8_high_ = 0xBF;
  if (--utf8_left_ == 0) in.state = state::string;
  return json_token::more;
}

json_token json_scanner::scan_escape(cursor& in) {
  const char c = *in.p;
  if (c == 'u') {
    hex_left_ = 4;
    hex_value_ = 0;
    in.state = state::hex;
  } else {
    const char unescaped = unescaped_character(c);
    if (unescaped == '\0') return fail(json_fault::bad_escape);
    keep(in, &unescaped, &unescaped + 1);
    in.state = state::string;
  }
  ++in.p;
  return json_token::more;
}

json_token json_scanner::scan_hex(cursor& in) {
  const int digit = hex_digit(*in.p);
  if (digit < 0) return fail(json_fault::bad_escape);
  ++in.p;
  hex_value_ = static_cast<std::uint16_t>(hex_value_ << 4 | digit);
  if (--hex_left_ == 0) {
    in.state = state::string;
    if (watched(in)) keep_code_unit(hex_value_);
  }
  return json_token::more;
}

json_token json_scanner::scan_literal(cursor& in) {
  while (in.p != in.end && *literal_rest_ != '\0') {
    if (*in.p != *literal_rest_) return fail(json_fault::bad_literal);
    ++in.p;
    ++literal_rest_;
  }
  if (*literal_rest_ != '\0') return json_token::more;
  in.state = state::after_value;
  return show(in, literal_);
}

/// The grammar of RFC 8259 section 6. The byte after a number ends it; the number does not take that byte.
json_token json_scanner::scan_number(cursor& in) {
  const char* const piece = in.p;
  while (in.p != in.end) {
    const char c = *in.p;
    const bool digit = is_digit(c);
    auto next_state = state::after_value;
    switch (in.state) {
      case state::number_start:
      case state::number_minus:
        if (c == '-' && in.state == state::number_start) next_state = state::number_minus;
        if (digit) next_state = c == '0' ? state::number_zero : state::number_integer;
        break;
      case state::number_zero:
      case state::number_integer:
        if (digit && in.state == state::number_integer) next_state = in.state;
        if (c == '.') next_state = state::number_dot;
        if (c == 'e' || c == 'E') next_state = state::number_e;
        break;
      case state::number_dot:
      case state::number_fraction:
        if (digit) next_state = state::number_fraction;
        if ((c == 'e' || c == 'E') && in.state == state::number_fraction) next_state = state::number_e;
        break;
      default:  // the exponent
        if (digit) next_state = state::number_exponent;
        if ((c == '+' || c == '-') && in.state == state::number_e) next_state = state::number_e_sign;
        break;
    }
    if (next_state == state::after_value) {
      if (!may_end_number(in.state)) return fail(json_fault::bad_number);
      end_text(in, piece, in.p);
      in.state = state::after_value;
      return show(in, json_token::number);
    }
    in.state = next_state;
    in.p = digit && next_state != state::number_zero ? skip_digits(in.p, in.end) : in.p + 1;
  }
  keep(in, piece, in.p);
  return json_token::more;
}

// The text of a token is a view into the input if one piece of the input holds all of it and it has no
// escapes. Otherwise the text is copied to kept_, piece by piece.

inline void json_scanner::keep(const cursor& in, const char* piece, const char* end) {
  if (watched(in) && piece != end) keep(piece, end);
}

inline void json_scanner::end_text(const cursor& in, const char* piece, const char* end) {
  if (!watched(in)) return;
  if (!keeps_) {
    text_ = {piece, std::min(static_cast<std::size_t>(end - piece), text_limit)};
    return;
  }
  keep(piece, end);
  keep_lone_surrogate();
  text_ = {kept_.data(), kept_size_};
  keeps_ = false;
  kept_size_ = 0;
}

void json_scanner::keep(const char* piece, const char* end) {
  keeps_ = true;
  if (piece == end) return;
  keep_lone_surrogate();
  const auto size = std::min(static_cast<std::size_t>(end - piece), text_limit - kept_size_);
  std::memcpy(kept_.data() + kept_size_, piece, size);
  kept_size_ = static_cast<std::uint8_t>(kept_size_ + size);
}

void json_scanner::keep_lone_surrogate() {
  if (high_surrogate_ == 0) return;
  high_surrogate_ = 0;
  keep_code_point(0xFFFD);
}

void json_scanner::keep_code_unit(std::uint32_t unit) {
  const bool high = unit >= 0xD800 && unit <= 0xDBFF;
  const bool low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (low && high_surrogate_ != 0) {
    const auto code_point = 0x10000 + ((high_surrogate_ - 0xD800U) << 10) + (unit - 0xDC00);
    high_surrogate_ = 0;
    keep_code_point(code_point);
    return;
  }
  keep_lone_surrogate();
  if (high) {
    keeps_ = true;
    high_surrogate_ = static_cast<std::uint16_t>(unit);
  } else {
    keep_code_point(low ? 0xFFFD : unit);
  }
}

void json_scanner::keep_code_point(std::uint32_t code_point) {
  char bytes[4];
  keep(bytes, bytes + encode_utf8(code_point, bytes));
}

bool is_valid_json(std::string_view text) {
  json_scanner scanner;
  return scanner.feed(text) && scanner.finish();
}

bool is_json_object(std::string_view text) {
  json_scanner scanner;
  bool is_object = false;
  scanner.feed(text, [&](json_token token) { is_object = token == json_token::end_object; });
  return scanner.finish() && is_object;
}

}  // namespace llm_proxy
