// Makes the manual page from the same rows as --help.
#pragma once

#include "config/command_line.hpp"

#include <string>

namespace llm_proxy {

/// Returns llm-proxy(1) as man(7) source.
std::string man_page(const program_facts& facts, const settings& values);

}  // namespace llm_proxy
