// The value of a Server-Timing header (https://www.w3.org/TR/server-timing/): where a request's time went.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llm_proxy {

/// Makes a text such as `queue;dur=0.250, total;dur=12.004`. It is written in place, because every answer has
/// one.
class server_timing {
 public:
  /// `name` is a token (RFC 9110 §5.6.2) of at most 16 bytes. A negative time counts as 0. A metric for which
  /// there is no room is left out.
  void add(std::string_view name, std::chrono::nanoseconds time);
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  static constexpr std::size_t longest_metric = 48;

  std::array<char, 256> text_;  // NOLINT: size_ says how much of it is there
  std::size_t size_ = 0;
};

/// Returns how long LiteLLM itself took, from its header (`x-litellm-overhead-duration-ms: 18.224`). Returns
/// nullopt if that is not a number of milliseconds from 0 to 1e9.
std::optional<std::chrono::nanoseconds> read_overhead(std::string_view value);

}  // namespace llm_proxy
