// HTTP heads as values. The parser makes them, actors pass them on, and the writer turns them into bytes.
#pragma once

#include "http/text/text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// One field. Its views are valid until the list that they come from is changed.
struct header {
  std::string_view name;
  std::string_view value;
};

namespace detail {

/// Returns a table that is true for the bytes that are ASCII letters, digits or one of `others`.
consteval std::array<bool, 256> letters_digits_and(std::string_view others) {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}

}  // namespace detail

/// Appends `name: value` and a line's end.
void append_header(std::string& out, std::string_view name, std::string_view value);

/// Header fields in the order in which they came. Heads have a dozen fields, so a linear search is the
/// fastest map, and one text for all of them is the cheapest store.
class header_list {
 public:
  class iterator {
   public:
    iterator(const header_list& list, std::size_t at) : list_{&list}, at_{at} {}
    header operator*() const { return list_->at(at_); }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return at_ != other.at_; }

   private:
    const header_list* list_;
    std::size_t at_;
  };

  void add(std::string_view name, std::string_view value);
  /// Reserves room for `fields` fields of `bytes` bytes in all.
  void reserve(std::size_t fields, std::size_t bytes);
  /// Copies a head's lines into this list, which must be empty, and returns the copy. mark() then says which
  /// parts of it are fields.
  std::span<char> hold_text(std::string_view lines);
  /// Adds a field whose name and value are views into the text that hold_text() returned.
  void mark(std::string_view name, std::string_view value);
  /// Drops the fields that `stays(name)` is false for.
  template <class Predicate>
  void keep_if(Predicate stays) {
    // The text is not shortened, because lists are short-lived.
    std::erase_if(fields_, [&](const place& where) { return !stays(name_at(where)); });
  }
  /// Drops every field of that name.
  void remove(std::string_view name);
  /// Returns the value of the first field of that name.
  std::optional<std::string_view> find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  iterator begin() const { return {*this, 0}; }
  iterator end() const { return {*this, fields_.size()}; }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }

 private:
  /// Where a field stands in text_.
  struct place {
    std::uint32_t name_begin;
    std::uint32_t name_size;
    std::uint32_t value_begin;
    std::uint32_t value_size;
  };

  void mark(std::size_t name_begin, std::size_t name_size, std::size_t value_begin, std::size_t value_size);
  std::string_view name_at(const place& where) const {
    return {text_.data() + where.name_begin, where.name_size};
  }
  std::string_view value_at(const place& where) const {
    return {text_.data() + where.value_begin, where.value_size};
  }
  header at(std::size_t index) const { return {name_at(fields_[index]), value_at(fields_[index])}; }
  /// Compares the sizes first. Most names differ in size, and then the text is not read.
  bool is_named(const place& where, std::string_view name) const {
    return where.name_size == name.size() && iequals(name_at(where), name);
  }

  std::string text_;
  std::vector<place> fields_;
};

/// How a message says where it ends (RFC 9112 §6.3) and whether another may follow (§9.3).
struct message_framing {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
};

struct request_head : message_framing {
  std::string method;
  std::string target;  ///< as sent, query included; an absolute form is cut to its path
  header_list headers;
  unsigned minor_version = 1;  ///< HTTP/1.x
  bool expects_continue = false;

  /// The target without its query.
  std::string_view path() const { return std::string_view{target}.substr(0, target.find('?')); }
  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

struct response_head {
  unsigned status = 0;
  header_list headers;
};

/// Returns the media type of a content-type value, without parameters: `application/json`.
std::string_view media_type(std::string_view content_type);

/// True if a multipart content-type names its boundary (RFC 2046 §5.1.1: 1 to 70 characters).
bool has_boundary(std::string_view content_type);

/// True if `media` is application/json or has the +json suffix (RFC 6839 §3.1).
bool is_json_media(std::string_view media);

/// Returns the standard reason phrase (RFC 9110 §15), or "Unknown".
std::string_view reason_phrase(unsigned status);

/// Returns how many bytes at the beginning of `text` may be part of a token (RFC 9110 §5.6.2).
std::size_t token_size(std::string_view text);
/// Whether `text` is a token (RFC 9110 §5.6.2).
bool is_token(std::string_view text);

}  // namespace llm_proxy
