#pragma once

#include <string_view>

namespace llm_proxy {

/// Now as an HTTP date (RFC 9110 §5.6.7), made anew once a second per thread. Valid until the thread's next
/// call.
std::string_view http_date_now();

}  // namespace llm_proxy
