// The steps of a request, one log line each under its id, for who has set LOG_LEVEL=DEBUG. Where they are off
// they cost the one branch of log_steps(), which callers ask before they put words together.
#pragma once

#include "config/log_safe.hpp"

#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>

namespace llm_proxy {

inline bool log_steps() {
  return spdlog::should_log(spdlog::level::debug);
}

/// Logs one step. Texts from outside among `details` have been through log_safe(); keys, contents and queries
/// are never among them.
template <class... Details>
void log_step(std::string_view request_id, spdlog::format_string_t<Details...> step, Details&&... details) {
  spdlog::debug("request {}: {}", log_safe(request_id),
                spdlog::fmt_lib::format(step, std::forward<Details>(details)...));
}

}  // namespace llm_proxy
