// The errors of http/wire/errc.cpp as docs/api.md shows them.
#pragma once

#include <string>

namespace llm_proxy {

/// Returns a Markdown table that is sorted by status. Its columns: the code, whose fault it is, whether to
/// try again, and what the client reads when nothing more precise is known.
std::string readme_errors_table();

}  // namespace llm_proxy
