#include "http/wire/chunk_reader.hpp"

#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::size_t max_line = 16 * 1024;
constexpr std::size_t max_extension_bytes = 16 * 1024;
constexpr std::size_t max_trailer_bytes = 32 * 1024;
constexpr std::size_t max_size_digits = 15;  // up to 2^60 - 1, so no overflow is possible

}  // namespace

std::size_t chunk_reader::read(std::string_view bytes, std::string& sink) {
  std::size_t used = 0;
  while (used < bytes.size() && part_ != part::end && part_ != part::broken) {
    const auto rest = bytes.substr(used);
    if (part_ == part::data) {
      const auto payload =
          rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size())));
      sink += payload;
      used += payload.size();
      left_ -= payload.size();
      if (left_ == 0) part_ = part::data_end;
      continue;
    }
    if (part_ == part::data_end) {
      constexpr std::string_view line_end = "\r\n";
      const auto there = rest.substr(0, 2);
      if (there != line_end.substr(0, there.size())) {
        part_ = part::broken;
      } else if (there.size() < line_end.size()) {
        break;
      } else {
        used += 2;
        part_ = part::size_line;
      }
      continue;
    }
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (!may_become_line(rest)) part_ = part::broken;
      break;
    }
    line_checked_ = 0;
    if (end == 0 || rest[end - 1] != '\r' || has_control(rest.substr(0, end - 1))) {
      part_ = part::broken;
      break;
    }
    used += end + 1;
    const auto line = rest.substr(0, end - 1);
    part_ == part::size_line ? take_size(line) : take_trailer(line);
  }
  return used;
}

/// `begin` is an unfinished line. Only its new bytes are checked for control bytes.
bool chunk_reader::may_become_line(std::string_view begin) {
  if (begin.size() > max_line) return false;
  if (begin.ends_with('\r')) begin.remove_suffix(1);  // half a line's end, perhaps
  const auto known = std::exchange(line_checked_, begin.size());
  if (has_control(begin.substr(std::min(known, begin.size())))) return false;
  if (part_ != part::size_line) return true;
  // These are the rules of take_size().
  const auto head = begin.substr(0, max_size_digits + 1);
  const auto digits = std::min(head.find_first_not_of("0123456789abcdefABCDEF"), head.size());
  if (digits == begin.size()) return digits <= max_size_digits;
  const auto behind = begin.find_first_not_of(" \t", digits);
  return digits > 0 && digits <= max_size_digits &&
         (behind == std::string_view::npos || begin[behind] == ';');
}

void chunk_reader::take_size(std::string_view line) {
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  const auto digits = static_cast<std::size_t>(parsed.ptr - line.data());
  const auto extensions = line.substr(digits);
  extension_bytes_ += extensions.size();
  const auto behind = extensions.find_first_not_of(" \t");
  const bool is_extension = behind == std::string_view::npos || extensions[behind] == ';';
  if (digits == 0 || digits > max_size_digits || line.front() == '-' || !is_extension ||
      extension_bytes_ > max_extension_bytes) {
    part_ = part::broken;
  } else {
    part_ = left_ > 0 ? part::data : part::trailers;
  }
}

void chunk_reader::take_trailer(std::string_view line) {
  trailer_bytes_ += line.size() + 2;
  if (line.empty()) {
    part_ = part::end;
  } else if (trailer_bytes_ > max_trailer_bytes || !is_token(line.substr(0, line.find(':'))) ||
             line.find(':') == std::string_view::npos) {
    part_ = part::broken;
  }
}

}  // namespace llm_proxy
