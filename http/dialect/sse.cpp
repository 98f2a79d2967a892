#include "http/dialect/sse.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace llm_proxy {

namespace {

/// Returns the first LF or CR in [p, end), or `end`.
const char* find_line_end(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i cr = _mm_set1_epi8('\r');
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, lf), _mm_cmpeq_epi8(bytes, cr));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  return std::find_if(p, end, [](char c) { return c == '\n' || c == '\r'; });
}

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace

std::string sse_event(std::string_view data) {
  std::string event;
  event.reserve(data.size() + 8);
  const char* p = data.data();
  const char* const end = p + data.size();
  for (;;) {
    const char* const line_end = find_line_end(p, end);
    event.append("data: ").append(p, line_end).append("\n");
    if (line_end == end) break;
    p = line_end + (*line_end == '\r' && line_end + 1 != end && line_end[1] == '\n' ? 2 : 1);
  }
  event += '\n';
  return event;
}

sse_part sse_scanner::next(std::string_view& input) {
  const char* p = input.data();
  const char* const end = p + input.size();
  auto part = sse_part::more;
  while (part == sse_part::more && p != end) {
    switch (state_) {
      case state::stream_start:
        if (*p == byte_order_mark[bom_size_]) {
          ++p;
          if (++bom_size_ == byte_order_mark.size()) state_ = state::line_start;
        } else {
          // An incomplete byte order mark is the beginning of an unknown field's name.
          state_ = bom_size_ == 0 ? state::line_start : state::name;
          name_size_ = bom_size_ == 0 ? 0 : unknown_name;
        }
        break;

      case state::after_cr:
        state_ = state::line_start;
        if (*p != '\n') break;
        ++p;
        part = sse_part::line_feed;
        break;

      case state::line_start:
        if (*p == '\n' || *p == '\r') {
          part = end_line(p, end, sse_part::blank_line);
          break;
        }
        name_size_ = 0;
        state_ = state::name;
        break;

      case state::name:
        if (*p == '\n' || *p == '\r') {
          field_ = named_field();
          part = end_line(p, end, sse_part::line_end);
        } else if (*p == ':') {
          field_ = named_field();
          ++p;
          state_ = state::after_colon;
        } else {
          if (name_size_ < name_.size()) name_[name_size_] = *p;
          if (name_size_ < unknown_name) ++name_size_;
          ++p;
        }
        break;

      case state::after_colon:
        if (*p == ' ') ++p;
        state_ = state::value;
        break;

      case state::value: {
        const char* const begin = p;
        p = find_line_end(p, end);
        if (p != begin && reads_value()) {
          piece_ = {begin, static_cast<std::size_t>(p - begin)};
          part = sse_part::value;
        } else if (p != end) {
          part = end_line(p, end, sse_part::line_end);
        }
        break;
      }
    }
  }
  input.remove_prefix(static_cast<std::size_t>(p - input.data()));
  return part;
}

/// `p` points to the line's CR or LF.
sse_part sse_scanner::end_line(const char*& p, const char* end, sse_part part) {
  state_ = state::line_start;
  if (*p++ == '\r') {
    if (p == end) {
      state_ = state::after_cr;
    } else if (*p == '\n') {
      ++p;
    }
  }
  return part;
}

sse_field sse_scanner::named_field() const {
  if (name_size_ == 0) return sse_field::comment;
  if (name_size_ > name_.size()) return sse_field::unknown;
  const std::string_view name{name_.data(), name_size_};
  if (name == "data") return sse_field::data;
  if (name == "event") return sse_field::event;
  if (name == "id") return sse_field::id;
  if (name == "retry") return sse_field::retry;
  return sse_field::unknown;
}

std::vector<sse_message> sse_decoder::feed(std::string_view bytes) {
  std::vector<sse_message> messages;
  for (auto part = scanner_.next(bytes); part != sse_part::more; part = scanner_.next(bytes)) {
    if (part == sse_part::value) {
      value_ += scanner_.piece();
    } else if (part == sse_part::line_end) {
      take_line();
    } else if (part == sse_part::blank_line) {
      if (has_data_) messages.push_back({std::move(event_), std::move(data_), id_});
      event_.clear();
      data_.clear();
      has_data_ = false;
    }
  }
  return messages;
}

void sse_decoder::take_line() {
  switch (scanner_.field()) {
    case sse_field::data:
      if (has_data_) data_ += '\n';
      data_ += value_;
      has_data_ = true;
      break;
    case sse_field::event:
      event_ = value_;
      break;
    case sse_field::id:
      if (value_.find('\0') == std::string::npos) id_ = value_;
      break;
    default:
      break;
  }
  value_.clear();
}

}  // namespace llm_proxy
