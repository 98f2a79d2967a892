#pragma once

#include <cstdint>

namespace llm_proxy {

/// What a completion cost, as the upstream counted it.
struct token_usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

}  // namespace llm_proxy
