// Points in time as people write them in files: RFC 3339.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns the seconds since 1970 of a time such as `2027-01-31T23:59:59Z` or `…T23:59:59.5+01:00` (RFC 3339
/// §5.6), without its fraction. Returns nullopt for any other text.
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// Returns `seconds` since 1970 as such a time, in UTC: `2027-01-31T23:59:59Z`.
std::string format_rfc3339(std::int64_t seconds);

}  // namespace llm_proxy
