#include "http/dialect/stream_judge.hpp"

#include "http/dialect/chunk_filter.hpp"

#include <algorithm>

namespace llm_proxy {

namespace {

// Data that begins with this mark ends the stream, as in OpenAI's SDKs. No JSON text begins with it.
constexpr std::string_view done_mark = "[DONE]";
constexpr std::string_view done_event = "data: [DONE]\n\n";
constexpr std::string_view error_name = "error";
constexpr std::string_view failed_name = "response.failed";
constexpr std::uint8_t mismatch = 0xFF;

/// Compares the beginning of a text that arrives in pieces with `wanted`. `matched` is the number of bytes
/// that were equal so far, or `mismatch`. Returns its new value.
std::uint8_t match_on(std::string_view wanted, std::uint8_t matched, std::string_view piece) {
  if (matched == mismatch || matched == wanted.size()) return matched;
  const auto compared = std::min(wanted.size() - matched, piece.size());
  if (wanted.substr(matched, compared) != piece.substr(0, compared)) return mismatch;
  return static_cast<std::uint8_t>(matched + compared);
}

/// Whether an event with this name (its `event:` line, or its data's `type`) is the last one of its stream.
bool ends_stream(dialect speaks, std::string_view name) {
  switch (speaks) {
    case dialect::anthropic:
      return name == "message_stop";
    case dialect::responses:
      return name == "response.completed" || name == "response.incomplete" || name == "response.failed" ||
             name == "response.cancelled";
    case dialect::events:
      return name.ends_with(".done") || name.ends_with(".completed");
    case dialect::chat:
    case dialect::opaque:
      break;
  }
  return false;
}

/// Whether `rest` begins with a line end and an empty line, so that the event ends here.
bool ends_event(std::string_view rest) {
  return rest.substr(0, 2) == "\n\n" || rest.substr(0, 4) == "\r\n\r\n";
}

}  // namespace

/// Most events arrive whole, and thousands of streams wait for their next event. So the streams of a thread
/// share one reader; a stream has a reader of its own only while an event is unfinished.
void stream_judge::open_reader() {
  static thread_local completion_reader shared;
  if (unfinished_) {
    reader_ = unfinished_.get();
  } else {
    reader_ = &shared;
    // It is clean unless an exception was thrown.
    if (shared.touched()) shared.reset();
  }
}

void stream_judge::put_reader_away() {
  if (!event_.has_data || event_.is_plain) {
    unfinished_.reset();
  } else if (!unfinished_) {
    unfinished_ = std::make_unique<completion_reader>(*reader_);
    reader_->reset();
  }
  reader_ = nullptr;
}

std::string_view stream_judge::feed(std::string_view bytes) {
  release();
  unread_ = 0;
  open_reader();
  const auto ready = take(bytes);
  put_reader_away();
  return ready;
}

std::string_view stream_judge::take(std::string_view bytes) {
  std::size_t passable = 0;  // a number of bytes of `bytes`
  std::size_t kept_from = 0;
  bool left_out = false;
  std::string_view rest = bytes;
  for (auto part = lines_.next(rest); part != sse_part::more; part = lines_.next(rest)) {
    bool boundary = false;
    bool is_error = false;
    switch (part) {
      case sse_part::value:
        take_value(rest);
        break;
      case sse_part::line_end:
        take_line_end();
        boundary = !event_.has_fields;  // comments before an event need not wait for it
        break;
      case sse_part::blank_line:
        if (event_.has_data) judge_event(true);
        lacks_line_feed_ = event_.is_left_out;
        is_error = event_.is_error && !inside_event_;
        begin_event();
        boundary = true;
        break;
      default:
        boundary = at_boundary_;
        break;  // the LF belongs to its CR
    }
    if (lacks_line_feed_ && boundary) {
      // Pass on everything before the event that is left out, but not that event.
      if (!std::exchange(left_out, true) && passable > 0) out_ = std::move(held_);
      held_.clear();
      out_.append(bytes.substr(kept_from, passable - kept_from));
      kept_from = bytes.size() - rest.size();
      lacks_line_feed_ = part == sse_part::blank_line && rest.empty() && bytes.back() == '\r';
    }
    at_boundary_ = boundary;
    if (is_error) {
      error_event_ = std::make_unique<std::string>();
      if (passable == 0) {
        *error_event_ = std::exchange(held_, {});
      } else if (!left_out) {
        out_ = std::exchange(held_, {});
      }
      out_.append(bytes.substr(kept_from, passable - kept_from));
      const auto end = bytes.size() - rest.size();
      error_event_->append(bytes.substr(passable, end - passable));
      unread_ = rest.size();
      return out_;
    }
    if (boundary) {
      passable = bytes.size() - rest.size();
      inside_event_ = false;
    }
  }
  if (passable != bytes.size()) at_boundary_ = false;

  if (left_out) {
    out_.append(bytes.substr(kept_from, passable - kept_from));
    held_.assign(bytes.substr(passable));
    return out_;
  }
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

std::string_view stream_judge::finish() {
  open_reader();
  if (event_.has_data && judge_event(false)) inside_event_ = false;
  const bool dropped = event_.is_left_out;
  begin_event();
  put_reader_away();
  release();
  if (complete() && !dropped) out_.swap(held_);
  std::string().swap(held_);
  if (done_ && done_left_out_) out_ += done_event;
  return out_;
}

std::string_view stream_judge::finish_at_last_event() {
  release();
  std::string().swap(held_);
  inside_event_ = false;
  if (done_left_out_) out_ = done_event;
  return out_;
}

void stream_judge::take_name(std::string_view piece) {
  if (!std::exchange(event_.in_name_line, true)) event_.name_size = 0;
  const auto room = event_.name.size() - event_.name_size;
  event_.name_size =
      static_cast<std::uint8_t>(event_.name_size + piece.copy(event_.name.data() + event_.name_size, room));
}

/// `rest`: the bytes that follow the value.
void stream_judge::take_value(std::string_view rest) {
  const auto piece = lines_.piece();
  if (lines_.field() == sse_field::event) take_name(piece);
  if (lines_.field() != sse_field::data) return;
  progress_ += piece.size();
  if (speaks_ == dialect::chat && !event_.has_data && ends_event(rest) && !may_matter(piece, seen_)) {
    event_.is_plain = true;
    begin_data_line();
    return;
  }
  if (!event_.in_data_line) begin_data_line();
  take_data(piece);
}

void stream_judge::take_line_end() {
  const auto field = lines_.field();
  if (field == sse_field::comment) return;
  event_.has_fields = true;
  if (field == sse_field::event) {
    if (!event_.in_name_line) event_.name_size = 0;
    event_.in_name_line = false;
  } else if (field == sse_field::data) {
    if (!event_.in_data_line) begin_data_line();
    event_.in_data_line = false;
  }
}

void stream_judge::begin_data_line() {
  if (event_.has_data) take_data("\n");
  event_.has_data = true;
  event_.in_data_line = true;
  ++progress_;
}

void stream_judge::take_data(std::string_view data) {
  event_.done_matched = match_on(done_mark, event_.done_matched, data);
  reader_->feed(data);
}

bool stream_judge::judge_event(bool ended) {
  const std::string_view name{event_.name.data(), event_.name_size};
  event_.is_error = name == error_name;
  if (event_.is_plain) {
    ++events_;
    error_ = error_ || event_.is_error;
    return true;
  }
  const bool is_done = event_.done_matched == done_mark.size();
  const bool is_json = reader_->finish();
  if (!ended && !is_done && !is_json) return false;
  ++events_;
  done_ = done_ || ends_stream(speaks_, name);
  failed_ = failed_ || (speaks_ == dialect::responses && name == failed_name);
  if (is_done) judge_done();
  if (is_json) {
    const auto type = reader_->type();
    done_ = done_ || ends_stream(speaks_, type);
    failed_ = failed_ || (speaks_ == dialect::responses && type == failed_name);
    event_.is_error = event_.is_error || type == error_name || reader_->is_error ||
                      (reader_->error && !reader_->is_response);
    if (is_extra_usage()) {
      event_.is_left_out = true;
      --events_;
    }
    if (reader_->sequence_number) {
      next_sequence_number_ = std::max(next_sequence_number_, *reader_->sequence_number + 1);
    }
    seen_.add(reader_->seen);
    finished_.add(reader_->finished);
    uncountable_ = uncountable_ || reader_->uncountable;
    if (model.empty()) model = reader_->model();
    merge_usage();
  }
  error_ = error_ || event_.is_error;
  return true;
}

/// The current event is a [DONE].
void stream_judge::judge_done() {
  if (speaks_ == dialect::chat) {
    done_ = true;
  } else if (!done_ && !inside_event_) {
    done_left_out_ = event_.is_left_out = true;
    --events_;
  }
}

/// Whether the current event is the usage chunk that the proxy asked for, and has nothing else.
bool stream_judge::is_extra_usage() const {
  return swallows_usage_ && reader_->usage && all_finished() && !inside_event_ && !reader_->error &&
         !reader_->says_more && reader_->finished.empty();
}

void stream_judge::merge_usage() {
  if (!reader_->usage) return;
  // Anthropic sends the number of prompt tokens first and the number of completion tokens last.
  const auto before = std::exchange(usage, reader_->usage).value_or(token_usage{});
  if (!reader_->has_prompt_tokens) usage->prompt_tokens = before.prompt_tokens;
  if (!reader_->has_completion_tokens) usage->completion_tokens = before.completion_tokens;
}

void stream_judge::begin_event() {
  if (event_.has_data && !event_.is_plain) reader_->reset();
  event_ = {};
}

}  // namespace llm_proxy
