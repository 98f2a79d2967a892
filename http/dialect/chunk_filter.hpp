// A cheap check of a stream chunk's bytes. Thanks to it most chunks need not be parsed.
#pragma once

#include "http/dialect/completion_reader.hpp"

#include <string_view>

namespace llm_proxy {

/// Whether a completion_reader might find something new in `data`: an error, usage, a finish_reason, or a
/// choice that is not in `seen`. False means that it would find nothing, whether `data` is valid JSON or not.
bool may_matter(std::string_view data, const choice_set& seen);

}  // namespace llm_proxy
