// The built program, run by a test in mock mode.
#pragma once

#include "support/child_process.hpp"
#include "support/raw_requests.hpp"
#include "support/scripted_upstream.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace llm_proxy::test {

using environment = std::map<std::string, std::string>;

inline const std::string program = LLM_PROXY_BINARY;
/// A long timeout, because sanitized builds start and stop slowly.
inline constexpr milliseconds long_patience{20'000};

inline environment mock_environment(environment more = {}) {
  more.emplace("LLM_PROXY__LLM_MODE", "mock");
  more.emplace("LLM_PROXY__PORT", "0");
  more.emplace("LLM_PROXY__THREADS", "2");
  more.emplace("LLM_PROXY__INTERNAL_API_KEY", test_key);
  more.emplace("LLM_PROXY__MOCK_CHUNK_DELAY_MS", "5");
  return more;
}

inline child_process::options with(environment values) {
  child_process::options how;
  how.environment = std::move(values);
  return how;
}

inline child_process::options with_argument(std::string argument, environment values = {}) {
  auto how = with(std::move(values));
  how.arguments = {std::move(argument)};
  return how;
}

/// Returns the port that the program listens on, from its log; 0 if it does not start.
inline std::uint16_t port_of(child_process& service) {
  const std::string before = "listens on 127.0.0.1:";
  if (!service.wait_for_output(before, long_patience) || !service.wait_for_output("\n", long_patience))
    return 0;
  return static_cast<std::uint16_t>(
      std::stoi(service.out().substr(service.out().find(before) + before.size(), 5)));
}

/// Returns a port on which nobody listened a moment ago.
inline std::uint16_t free_port() {
  return refused_port{}.port();
}

}  // namespace llm_proxy::test
