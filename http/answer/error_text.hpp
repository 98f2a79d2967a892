// What can be read out of, and must be cut from, the text of an error.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// The client's part of a message: without what LiteLLM adds to it (without_additions()), and with inner
/// addresses and objects of Python named as such.
std::string without_internals(std::string_view message);

/// Seconds to wait, as text says it ("try again in 1m30s", "retry after 7 seconds"); 0: it does not.
unsigned long waiting_time(std::string_view message);

}  // namespace llm_proxy
