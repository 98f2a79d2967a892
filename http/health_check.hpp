#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Asks `GET url` (`http://host[:port][/path]`; without a path `/health`) on a connection of its own and
/// waits for the head of the answer, `timeout` for all of it. Empty when the answer is 200, else a sentence
/// for the operator that says why not. Blocks; meant for a process that does nothing else.
std::string check_health(std::string_view url, std::chrono::milliseconds timeout);

}  // namespace llm_proxy
