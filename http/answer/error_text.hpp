// Reads waiting times from the text of an error, and removes what a client must not see.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns the part of a message that a client may read: without LiteLLM's additions (without_additions()),
/// and with `[address]` and `[object]` in place of internal addresses and Python objects.
std::string without_internals(std::string_view message);

/// Returns the seconds to wait that a message names ("try again in 1m30s", "retry after 7 seconds"); 0 if it
/// names no time.
unsigned long waiting_time(std::string_view message);

}  // namespace llm_proxy
