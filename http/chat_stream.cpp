#include "http/chat_stream.hpp"

#include "http/chunk_filter.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

// As OpenAI's SDKs do it: data that begins so ends the stream. No JSON text does.
constexpr std::string_view done_mark = "[DONE]";
constexpr std::string_view error_name = "error\n";  // with its line end: the whole name
constexpr std::uint8_t mismatch = 0xFF;

/// Compares a text that comes in pieces to the beginning of `wanted`: `matched` counts its bytes, or is
/// mismatch.
std::uint8_t match_on(std::string_view wanted, std::uint8_t matched, std::string_view piece) {
  if (matched == mismatch || matched == wanted.size()) return matched;
  const auto compared = std::min(wanted.size() - matched, piece.size());
  if (wanted.substr(matched, compared) != piece.substr(0, compared)) return mismatch;
  return static_cast<std::uint8_t>(matched + compared);
}

/// Whether an event ends behind a line: a line end and an empty line.
bool ends_event(std::string_view rest) {
  return rest.substr(0, 2) == "\n\n" || rest.substr(0, 4) == "\r\n\r\n";
}

}  // namespace

std::string_view chat_stream::feed(std::string_view bytes) {
  release();
  std::size_t passable = 0;  // of `bytes`
  std::string_view rest = bytes;
  for (auto part = lines_.next(rest); part != sse_part::more; part = lines_.next(rest)) {
    bool boundary = false;
    switch (part) {
      case sse_part::value:
        take_value(rest);
        break;
      case sse_part::line_end:
        take_line_end();
        boundary = !has_fields_;  // comments before an event need not wait for it
        break;
      case sse_part::blank_line:
        if (has_data_) judge_event(true);
        begin_event();
        boundary = true;
        break;
      default:
        boundary = at_boundary_;
        break;  // the LF goes with its CR
    }
    at_boundary_ = boundary;
    if (boundary) {
      passable = bytes.size() - rest.size();
      inside_event_ = false;
    }
  }
  if (passable != bytes.size()) at_boundary_ = false;

  if (passable == 0 && inside_event_) return bytes;
  const auto waiting = bytes.size() - passable + (passable == 0 ? held_.size() : 0);
  if (waiting > whole_event_limit) {
    passable = bytes.size();
    inside_event_ = true;
  }
  if (passable == 0) {
    held_.append(bytes);
    return {};
  }
  if (held_.empty()) {
    held_.assign(bytes.substr(passable));
    return bytes.substr(0, passable);
  }
  held_.append(bytes.substr(0, passable));
  out_.swap(held_);
  held_.assign(bytes.substr(passable));
  return out_;
}

std::string_view chat_stream::finish() {
  if (has_data_ && judge_event(false)) inside_event_ = false;
  begin_event();
  release();
  if (complete()) out_.swap(held_);
  std::string().swap(held_);
  return out_;
}

/// `rest` follows the value.
void chat_stream::take_value(std::string_view rest) {
  const auto piece = lines_.piece();
  if (lines_.field() == sse_field::event) name_matched_ = match_on(error_name, name_matched_, piece);
  if (lines_.field() != sse_field::data) return;
  progress_ += piece.size();
  if (!has_data_ && ends_event(rest) && !may_matter(piece, seen_)) {
    is_plain_ = true;
    begin_data_line();
    return;
  }
  if (!in_data_line_) begin_data_line();
  take_data(piece);
}

void chat_stream::take_line_end() {
  const auto field = lines_.field();
  if (field == sse_field::comment) return;
  has_fields_ = true;
  if (field == sse_field::event) {
    named_error_ = match_on(error_name, name_matched_, "\n") == error_name.size();
    name_matched_ = 0;
  } else if (field == sse_field::data) {
    if (!in_data_line_) begin_data_line();
    in_data_line_ = false;
  }
}

void chat_stream::begin_data_line() {
  if (has_data_) take_data("\n");
  has_data_ = true;
  in_data_line_ = true;
  ++progress_;
}

void chat_stream::take_data(std::string_view data) {
  done_matched_ = match_on(done_mark, done_matched_, data);
  reader_.feed(data);
}

bool chat_stream::judge_event(bool ended) {
  if (is_plain_) {
    ++events_;
    error_ = error_ || named_error_;
    return true;
  }
  const bool is_done = done_matched_ == done_mark.size();
  const bool is_json = reader_.finish();
  if (!ended && !is_done && !is_json) return false;
  ++events_;
  done_ = done_ || is_done;
  error_ = error_ || named_error_ || (is_json && reader_.error);
  if (is_json) {
    seen_.add(reader_.seen);
    finished_.add(reader_.finished);
    uncountable_ = uncountable_ || reader_.uncountable;
    if (reader_.usage) usage = reader_.usage;
  }
  return true;
}

void chat_stream::begin_event() {
  if (has_data_ && !is_plain_) reader_.reset();
  has_fields_ = has_data_ = in_data_line_ = is_plain_ = named_error_ = false;
  done_matched_ = name_matched_ = 0;
}

}  // namespace llm_proxy
