#include "http/dialect/completion_reader.hpp"

#include "http/text/text.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace llm_proxy {

namespace {

/// Reads a count as JSON may spell it: 12, 12.0, 1.2e1. Returns nullopt if it is not a whole number from 0 to
/// 2^53.
std::optional<std::uint64_t> read_count(std::string_view text) {
  if (const auto count = parse_number<std::uint64_t>(text)) return count;
  const auto number = parse_number<double>(text).value_or(-1);
  if (!(number >= 0 && number <= 9007199254740992.0) || number != std::floor(number)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

/// Whether the value that begins with `token` is something other than null, false or "".
bool says_something(json_token token, std::string_view text) {
  if (token == json_token::literal_null || token == json_token::literal_false) return false;
  return token != json_token::string || !text.empty();
}

bool is_end(json_token token) {
  return token == json_token::end_object || token == json_token::end_array;
}

}  // namespace

void completion_reader::reset() {
  scanner_.reset();
  seen = finished = {};
  uncountable = error = is_response = is_error = says_more = false;
  usage.reset();
  sequence_number.reset();
  has_prompt_tokens = has_completion_tokens = false;
  type_size_ = model_size_ = 0;
  is_object_ = in_nested_usage_ = in_nested_model_ = false;
}

void completion_reader::feed(std::string_view bytes) {
  scanner_.feed(bytes, [this](json_token token) { take(token); });
}

bool completion_reader::finish() {
  return scanner_.finish() && is_object_;
}

void completion_reader::take(json_token token) {
  switch (scanner_.depth()) {
    case 0:
      is_object_ = token == json_token::begin_object || token == json_token::end_object;
      break;
    case 1:
      if (is_object_ && !is_end(token)) take_top_member(token);
      break;
    case 2:
      if (top_ == member::usage && top_kind_ == json_token::begin_object) take_usage_member(token);
      if (top_ == member::nested && top_kind_ == json_token::begin_object) take_nested_member(token);
      if (top_ == member::choices && top_kind_ == json_token::begin_array) {
        if (token == json_token::end_object) end_choice();
        in_choice_ = token == json_token::begin_object;
        if (in_choice_) {
          choice_index_ = 0;
          choice_finished_ = false;
        }
      }
      break;
    default:
      if (in_choice_) take_choice_member(token);
      if (in_nested_usage_ && !is_end(token)) take_usage_member(token);
      break;
  }
}

void completion_reader::take_top_member(json_token token) {
  if (token != json_token::key) {
    top_kind_ = token;
    if (top_ == member::error) error = says_something(token, scanner_.text());
    if (top_ == member::type)
      type_size_ = token == json_token::string ? scanner_.text().copy(type_.data(), type_.size()) : 0;
    if (top_ == member::model) take_model(token);
    if (top_ == member::sequence_number && token == json_token::number)
      sequence_number = read_count(scanner_.text());
    if (top_ == member::object) {
      is_response = token == json_token::string && scanner_.text() == "response";
      is_error = token == json_token::string && scanner_.text() == "error";
    }
    return;
  }
  // A duplicate key replaces the value of the earlier one.
  const auto key = scanner_.text();
  top_ = member::other;
  in_choice_ = in_nested_usage_ = in_nested_model_ = false;
  if (key == "choices") {
    top_ = member::choices;
    seen = finished = {};
    uncountable = says_more = false;
  } else if (key == "usage") {
    top_ = member::usage;
    usage.reset();
  } else if (key == "error") {
    top_ = member::error;
  } else if (key == "response" || key == "message") {
    top_ = member::nested;
  } else if (key == "type") {
    top_ = member::type;
  } else if (key == "object") {
    top_ = member::object;
  } else if (key == "model") {
    top_ = member::model;
  } else if (key == "sequence_number") {
    top_ = member::sequence_number;
  } else {
    scanner_.skip_value();
  }
}

void completion_reader::take_nested_member(json_token token) {
  if (token != json_token::key) {
    if (in_nested_model_) take_model(token);
    return;
  }
  in_nested_usage_ = scanner_.text() == "usage";
  in_nested_model_ = scanner_.text() == "model";
  if (!in_nested_usage_ && !in_nested_model_) scanner_.skip_value();
}

/// A text that has the size of the limit may have been cut, and a part of a name must not be taken for a
/// name.
void completion_reader::take_model(json_token token) {
  const bool whole = token == json_token::string && scanner_.text().size() < model_.size();
  model_size_ = whole ? scanner_.text().copy(model_.data(), model_.size()) : 0;
}

void completion_reader::take_usage_member(json_token token) {
  if (token == json_token::key) {
    const auto key = scanner_.text();
    inner_ = member::other;
    if (key == "prompt_tokens" || key == "input_tokens") inner_ = member::prompt;
    if (key == "completion_tokens" || key == "output_tokens") inner_ = member::completion;
    return;
  }
  if (token != json_token::number || inner_ == member::other) return;
  const auto count = read_count(scanner_.text());
  if (!count) return;
  if (!usage) usage.emplace();
  (inner_ == member::prompt ? has_prompt_tokens : has_completion_tokens) = true;
  (inner_ == member::prompt ? usage->prompt_tokens : usage->completion_tokens) = *count;
}

void completion_reader::take_choice_member(json_token token) {
  if (is_end(token)) {
    constexpr std::uint64_t empty_object = 2;
    if (inner_ == member::delta) says_more = says_more || scanner_.offset() - delta_begin_ > empty_object;
    return;
  }
  if (token == json_token::key) {
    const auto key = scanner_.text();
    inner_ = member::other;
    if (key == "index") inner_ = member::index;
    if (key == "finish_reason") inner_ = member::finish_reason;
    if (key == "delta") inner_ = member::delta;
    if (inner_ == member::other) {
      says_more = says_more || key != "logprobs";
      scanner_.skip_value();
    }
  } else if (inner_ == member::delta) {
    delta_begin_ = scanner_.token_begin();
    says_more = says_more || token != json_token::begin_object;
  } else if (inner_ == member::finish_reason) {
    choice_finished_ = says_something(token, scanner_.text());
  } else if (inner_ == member::index) {
    constexpr auto none = std::numeric_limits<std::uint64_t>::max();
    choice_index_ = none;
    if (token == json_token::literal_null) choice_index_ = 0;
    if (token == json_token::number) choice_index_ = read_count(scanner_.text()).value_or(none);
  }
}

void completion_reader::end_choice() {
  if (choice_index_ >= choice_set::capacity) {
    uncountable = true;
    return;
  }
  seen.add(choice_index_);
  if (choice_finished_) finished.add(choice_index_);
}

std::optional<token_usage> read_usage(std::string_view completion_json) {
  completion_reader reader;
  reader.feed(completion_json);
  return reader.finish() ? reader.usage : std::nullopt;
}

}  // namespace llm_proxy
