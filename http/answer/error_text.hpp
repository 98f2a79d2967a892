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

/// Puts `***` for a secret wherever `text` has it: LiteLLM repeats a key that it refuses, and neither the log
/// nor a client is to read ours. An empty one is nowhere.
void cut_out_secret(std::string& text, std::string_view secret);

}  // namespace llm_proxy
