// The errors of http/wire/errc.cpp as docs/api.md shows them.
#pragma once

#include <string>

namespace llm_proxy {

/// A Markdown table, by status: code, whose fault it is, whether to try again, what the client reads when
/// nothing more precise is known.
std::string readme_errors_table();

}  // namespace llm_proxy
