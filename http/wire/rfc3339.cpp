#include "http/wire/rfc3339.hpp"

#include <array>
#include <chrono>
#include <ctime>

namespace llm_proxy {

namespace {

/// Takes pieces off the front of a text. If one of them is wrong, the whole text is.
class reader {
 public:
  explicit reader(std::string_view text) : rest_{text} {}

  int digits(std::size_t count, int least, int most) {
    int number = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!next_is_digit()) {
        wrong_ = true;
        return 0;
      }
      number = number * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    wrong_ = wrong_ || number < least || number > most;
    return number;
  }
  char one_of(std::string_view accepted) {
    if (rest_.empty() || accepted.find(rest_.front()) == std::string_view::npos) {
      wrong_ = true;
      return 0;
    }
    const char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }
  void fraction() {
    if (!rest_.starts_with('.')) return;
    rest_.remove_prefix(1);
    if (!next_is_digit()) wrong_ = true;
    while (next_is_digit()) rest_.remove_prefix(1);
  }
  bool wrong() const { return wrong_; }
  bool at_end() const { return rest_.empty(); }

 private:
  bool next_is_digit() const { return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; }

  std::string_view rest_;
  bool wrong_ = false;
};

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  namespace chr = std::chrono;
  reader from{text};
  const auto year = from.digits(4, 0, 9999);
  from.one_of("-");
  const auto month = from.digits(2, 1, 12);
  from.one_of("-");
  const auto day = from.digits(2, 1, 31);
  from.one_of("Tt ");
  const auto hour = from.digits(2, 0, 23);
  from.one_of(":");
  const auto minute = from.digits(2, 0, 59);
  from.one_of(":");
  const auto second = from.digits(2, 0, 60);  // a leap second counts as the second after it
  from.fraction();
  const auto zone = from.one_of("Zz+-");
  int offset = 0;  // seconds east of UTC
  if (zone == '+' || zone == '-') {
    offset = from.digits(2, 0, 23) * 3600;
    from.one_of(":");
    offset += from.digits(2, 0, 59) * 60;
    if (zone == '-') offset = -offset;
  }
  const chr::year_month_day date{chr::year{year}, chr::month{static_cast<unsigned>(month)},
                                 chr::day{static_cast<unsigned>(day)}};
  if (from.wrong() || !from.at_end() || !date.ok()) return std::nullopt;
  const auto midnight = chr::sys_days{date}.time_since_epoch();
  return chr::duration_cast<chr::seconds>(midnight).count() + hour * 3600 + minute * 60 + second - offset;
}

std::string format_rfc3339(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

}  // namespace llm_proxy
