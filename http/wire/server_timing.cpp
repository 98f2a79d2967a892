#include "http/wire/server_timing.hpp"

#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <charconv>

namespace llm_proxy {

void server_timing::add(std::string_view name, std::chrono::nanoseconds time) {
  if (text_.size() - size_ < longest_metric) return;
  char* at = text_.data() + size_;
  const auto put = [&at](std::string_view text) { at = std::copy(text.begin(), text.end(), at); };
  if (size_ > 0) put(", ");
  put(name);
  put(";dur=");
  // In milliseconds, to the microsecond.
  const auto us = std::max<std::int64_t>(time.count() / 1000, 0);
  at = std::to_chars(at, text_.data() + text_.size(), us / 1000).ptr;
  if (const auto rest = us % 1000; rest != 0) {
    *at++ = '.';
    for (const auto digit : {rest / 100, rest / 10 % 10, rest % 10}) *at++ = static_cast<char>('0' + digit);
  }
  size_ = static_cast<std::size_t>(at - text_.data());
}

std::optional<std::chrono::nanoseconds> read_overhead(std::string_view value) {
  constexpr double most = 1e9;  // 11 days
  const auto ms = parse_number<double>(trimmed(value)).value_or(-1);
  if (!(ms >= 0 && ms <= most)) return std::nullopt;
  return std::chrono::nanoseconds{static_cast<std::int64_t>(ms * 1e6)};
}

}  // namespace llm_proxy
