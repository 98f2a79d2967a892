#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace llm_proxy {

/// Returns the time that a Retry-After field asks for (RFC 9110 §10.2.3): whole seconds, or a date in the
/// preferred form (0 if that has passed). More than 30 days count as 30. Returns nullopt for any other text.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text,
                                                           std::chrono::system_clock::time_point now);

}  // namespace llm_proxy
