// A cheap check of a stream chunk's bytes. Thanks to it most chunks need not be parsed. Without it a request
// whose answer is a stream of 10 chunks takes 32 % more instructions (callgrind, 2,500 requests), and a chunk
// of 64 unpaced streams takes 36 to 41 % more CPU time (scripts/bench.sh unpaced, two runs).
#pragma once

#include "http/dialect/completion_reader.hpp"

#include <string_view>

namespace llm_proxy {

/// Whether a completion_reader might find something new in `data`: an error, usage, a finish_reason, or a
/// choice that is not in `seen`. False means that it would find nothing, whether `data` is valid JSON or not.
bool may_matter(std::string_view data, const choice_set& seen);

}  // namespace llm_proxy
