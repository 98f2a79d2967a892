#include "http/wire/http_date.hpp"

#include <array>
#include <ctime>

namespace llm_proxy {

std::string_view http_date_now() {
  thread_local std::time_t made_at = -1;
  thread_local std::array<char, 32> text{};
  thread_local std::size_t length = 0;
  const auto now = std::time(nullptr);
  if (now != made_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    // The names are those of the "C" locale, because the service never calls setlocale.
    length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    made_at = now;
  }
  return {text.data(), length};
}

}  // namespace llm_proxy
