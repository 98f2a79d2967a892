// A cheap look at a stream chunk's bytes that spares most chunks the full reading.
#pragma once

#include "http/dialect/completion_reader.hpp"

#include <string_view>

namespace llm_proxy {

/// False: a completion_reader that read `data` would find nothing new: no error, no usage, no finish_reason,
/// no choice that is not in `seen`, whether it is valid JSON or not. True: it may find something.
bool may_matter(std::string_view data, const choice_set& seen);

}  // namespace llm_proxy
