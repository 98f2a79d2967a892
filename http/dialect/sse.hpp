// Reads and writes server-sent events (WHATWG HTML, section 9.2.6). The bytes may be split anywhere. It does
// no IO.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Returns `data` as one event on the wire; each of its lines gets its own `data:` line.
std::string sse_event(std::string_view data);

enum class sse_field : std::uint8_t { comment, data, event, id, retry, unknown };

enum class sse_part : std::uint8_t {
  more,        // no part: the input is used up
  value,       // a piece of field()'s value: piece()
  line_end,    // a line with field() ended
  blank_line,  // the event ended
  line_feed,   // the LF of a CR LF whose CR was the last byte of the previous input
};

/// Cuts a stream into lines and fields without keeping or copying bytes.
class sse_scanner {
 public:
  /// Takes bytes from the front of `input` up to the end of the next part, or all of them (`more`). Skips
  /// comments and the values of unknown fields.
  sse_part next(std::string_view& input);
  sse_field field() const { return field_; }
  /// Points into the input of the last call.
  std::string_view piece() const { return piece_; }

 private:
  static constexpr std::uint8_t unknown_name = 6;  // a size
  enum class state : std::uint8_t { stream_start, line_start, name, after_colon, value, after_cr };

  sse_field named_field() const;
  bool reads_value() const { return field_ != sse_field::comment && field_ != sse_field::unknown; }
  sse_part end_line(const char*& p, const char* end, sse_part part);

  std::string_view piece_;
  state state_ = state::stream_start;
  sse_field field_ = sse_field::unknown;
  std::uint8_t name_size_ = 0;  // unknown_name: the name does not fit into name_
  std::uint8_t bom_size_ = 0;
  std::array<char, 5> name_{};  // the field's name so far
};

/// One event as an EventSource would dispatch it.
struct sse_message {
  std::string event;  // empty if the event has no name, which means "message"
  std::string data;
  std::string id;  // the last id that the stream named
};

/// Collects whole events. It holds an event's data in memory, so it is meant for streams of known size
/// (tests, tools).
class sse_decoder {
 public:
  /// Takes the next bytes and returns the events that they complete. An event without its blank line is not
  /// complete.
  std::vector<sse_message> feed(std::string_view bytes);

 private:
  void take_line();

  sse_scanner scanner_;
  std::string data_;
  std::string event_;
  std::string id_;
  std::string value_;
  bool has_data_ = false;
};

}  // namespace llm_proxy
