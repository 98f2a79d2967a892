// Reads the few members of an answer, or of one event of a stream, that matter here: the finish reasons of
// the choices, usage (also inside `response` or `message`), an error, the type. It is fed in pieces and needs
// constant memory.
#pragma once

#include "http/dialect/token_usage.hpp"
#include "http/json/json_scanner.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llm_proxy {

/// A set of indices of choices.
struct choice_set {
  static constexpr std::uint64_t capacity = 128;  // OpenAI's limit of `n`

  void add(std::uint64_t index) { bits[index / 64] |= std::uint64_t{1} << (index % 64); }
  void add(const choice_set& other) {
    bits[0] |= other.bits[0];
    bits[1] |= other.bits[1];
  }
  bool has(std::uint64_t index) const {
    return index < capacity && (bits[index / 64] >> (index % 64) & 1U) != 0;
  }
  bool empty() const { return (bits[0] | bits[1]) == 0; }
  bool operator==(const choice_set&) const = default;

  std::array<std::uint64_t, capacity / 64> bits{};
};

class completion_reader {
 public:
  void feed(std::string_view bytes);
  /// Says that the text ends here. Returns false if it is not a JSON object; then what was read is
  /// meaningless.
  bool finish();
  /// Begins a new text.
  void reset();
  /// Whether something was fed since the last reset().
  bool touched() const { return scanner_.offset() > 0; }

  choice_set seen;           // choices with an entry
  choice_set finished;       // choices with a finish_reason other than null and ""
  bool uncountable = false;  // a choice has an invalid index, or one beyond choice_set::capacity
  bool error = false;        // a top-level `error` that is not null, false or ""
  bool says_more = false;    // a choice has more than an index and an empty delta
  bool is_response = false;  // the top-level `object` is "response", which has an `error` member of its own
  bool is_error = false;     // the top-level `object` is "error": the whole text is an error (vLLM)
  std::optional<std::uint64_t> sequence_number;  // the number of an event of the Responses API
  std::optional<token_usage> usage;
  bool has_prompt_tokens = false;      // of usage
  bool has_completion_tokens = false;  // of usage

  /// Returns `model`, also if it is a member of `response` or `message`. Empty if there is no model, or if
  /// its name has json_scanner::text_limit bytes or more.
  std::string_view model() const { return {model_.data(), model_size_}; }

  /// Returns the top-level `type`, cut at json_scanner::text_limit; empty if there is none.
  std::string_view type() const { return {type_.data(), type_size_}; }

 private:
  enum class member : std::uint8_t {
    other,
    model,
    choices,
    error,
    sequence_number,
    usage,
    nested,  // response or message
    type,
    object,
    index,
    finish_reason,
    delta,
    prompt,
    completion
  };

  void take(json_token token);
  void take_top_member(json_token token);
  void take_nested_member(json_token token);
  void take_usage_member(json_token token);
  void take_choice_member(json_token token);
  void take_model(json_token token);
  void end_choice();

  json_scanner scanner_{3, 100'000};
  std::uint64_t choice_index_ = 0;
  std::uint64_t delta_begin_ = 0;
  member top_ = member::other;    // the top-level member being read
  member inner_ = member::other;  // the member of a choice or of usage being read
  json_token top_kind_ = json_token::error;
  std::array<char, json_scanner::text_limit> type_;  // NOLINT: type_size_ says how much of it is there
  std::size_t type_size_ = 0;
  std::array<char, json_scanner::text_limit> model_;  // NOLINT: model_size_ says how much of it is there
  std::size_t model_size_ = 0;
  bool in_nested_usage_ = false;
  bool in_nested_model_ = false;
  bool is_object_ = false;
  bool in_choice_ = false;
  bool choice_finished_ = false;
};

/// Returns the usage of a whole answer; nullopt if it has none or is not valid JSON.
std::optional<token_usage> read_usage(std::string_view completion_json);

}  // namespace llm_proxy
