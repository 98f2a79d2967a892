// Logs the steps of a request for operators who set LOG_LEVEL=DEBUG: one line per step, with the request's
// id. If they are off, a step costs only the branch of log_steps(), which callers check before they compose
// the text.
#pragma once

#include "config/log_safe.hpp"

#include <spdlog/spdlog.h>

#include <string_view>
#include <utility>

namespace llm_proxy {

inline bool log_steps() {
  return spdlog::should_log(spdlog::level::debug);
}

/// Logs one step. Texts from outside in `details` must have been through log_safe(). Keys, contents and
/// queries must never be among them.
template <class... Details>
void log_step(std::string_view request_id, spdlog::format_string_t<Details...> step, Details&&... details) {
  spdlog::debug("request {}: {}", log_safe(request_id),
                spdlog::fmt_lib::format(step, std::forward<Details>(details)...));
}

}  // namespace llm_proxy
