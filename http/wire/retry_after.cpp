#include "http/wire/retry_after.hpp"

#include "http/text/text.hpp"
#include "http/wire/message.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>

namespace llm_proxy {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t longest = 30LL * 24 * 3600;  // a longer time is as good as never

std::optional<int> number(std::string_view digits) {
  if (digits.empty() || !is_digit(digits.front())) return std::nullopt;
  return parse_number<int>(digits);
}

/// Reads a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), whatever the C library's locale
/// is.
std::optional<std::chrono::system_clock::time_point> parse_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view form = "ddd, 00 mmm 0000 00:00:00 GMT";
  if (text.size() != form.size() || text.substr(3, 2) != ", " || text.substr(25) != " GMT" ||
      text[19] != ':' || text[22] != ':') {
    return std::nullopt;
  }
  const auto month = std::find(months.begin(), months.end(), text.substr(8, 3));
  const auto day = number(text.substr(5, 2)), year = number(text.substr(12, 4));
  const auto hour = number(text.substr(17, 2)), minute = number(text.substr(20, 2)),
             second = number(text.substr(23, 2));
  if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(month - months.begin()) + 1},
      std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
         seconds{*second};
}

}  // namespace

std::optional<milliseconds> parse_retry_after(std::string_view text,
                                              std::chrono::system_clock::time_point now) {
  text = trimmed(text);
  if (text.empty()) return std::nullopt;
  if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    return seconds{std::min(parse_number<std::int64_t>(text).value_or(longest), longest)};
  }
  const auto date = parse_date(text);
  if (!date) return std::nullopt;
  const auto wait = std::chrono::ceil<milliseconds>(*date - now);
  return std::clamp<milliseconds>(wait, milliseconds{0}, seconds{longest});
}

}  // namespace llm_proxy
