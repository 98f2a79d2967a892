#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns a new random id of 32 hex digits.
std::string make_request_id();

/// True if a client's x-request-id can be taken over: 1 to 128 printable ASCII characters without blanks,
/// quotes or backslash.
bool is_sane_request_id(std::string_view id);

}  // namespace llm_proxy
