#include "http/wire/rfc3339.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

TEST_CASE("rfc3339: a time is read as seconds since 1970, whatever its offset", "[unit][rfc3339]") {
  CHECK(parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_rfc3339("2026-11-25T03:50:00Z") == 1'795'578'600);
  CHECK(parse_rfc3339("2026-11-25t03:50:00z") == 1'795'578'600);
  CHECK(parse_rfc3339("2026-11-25 04:50:00.999+01:00") == 1'795'578'600);
  CHECK(parse_rfc3339("2026-11-24T20:20:00-07:30") == 1'795'578'600);
  CHECK(parse_rfc3339("2024-02-29T00:00:00Z") == 1'709'164'800);
  CHECK(parse_rfc3339("2016-12-31T23:59:60Z") == 1'483'228'800);  // a leap second
  CHECK(parse_rfc3339("1969-12-31T23:59:59Z") == -1);
}

TEST_CASE("rfc3339: a time is written in UTC, and read back as the same", "[unit][rfc3339]") {
  CHECK(format_rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(format_rfc3339(1'795'578'600) == "2026-11-25T03:50:00Z");
  for (const std::int64_t seconds : {-1, 951'782'399, 1'709'164'800})
    CHECK(parse_rfc3339(format_rfc3339(seconds)) == seconds);
}

TEST_CASE("rfc3339: a text that is not a time is refused", "[unit][rfc3339]") {
  for (const char* bad : {"",
                          "2026",
                          "2026-11-25",
                          "2026-11-25T03:50:00",
                          "2026-11-25T03:50Z",
                          "2026-13-01T00:00:00Z",
                          "2026-02-29T00:00:00Z",
                          "2026-04-31T00:00:00Z",
                          "2026-00-10T00:00:00Z",
                          "2026-11-25T24:00:00Z",
                          "2026-11-25T03:60:00Z",
                          "2026-11-25T03:50:61Z",
                          "2026-11-25T03:50:00.Z",
                          "2026-11-25T03:50:00+1:00",
                          "2026-11-25T03:50:00+24:00",
                          "2026-11-25T03:50:00Z ",
                          " 2026-11-25T03:50:00Z",
                          "26-11-25T03:50:00Z",
                          "2026-11-25T03:50:00 UTC",
                          "+026-11-25T03:50:00Z",
                          "tomorrow"}) {
    INFO(bad);
    CHECK_FALSE(parse_rfc3339(bad));
  }
}

TEST_CASE("rfc3339: a time that is cut at any byte is refused", "[unit][rfc3339]") {
  const std::string whole = "2026-11-25T03:50:00.5+01:00";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_FALSE(parse_rfc3339(whole.substr(0, size)));
  }
}

}  // namespace llm_proxy
