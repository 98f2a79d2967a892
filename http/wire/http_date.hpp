#pragma once

#include <string_view>

namespace llm_proxy {

/// Returns the current time as an HTTP date (RFC 9110 §5.6.7), which each thread makes anew once a second.
/// Valid until the thread's next call.
std::string_view http_date_now();

}  // namespace llm_proxy
