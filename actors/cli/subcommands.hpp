#pragma once

#include "config/command_line.hpp"

namespace llm_proxy {

/// Returns the commands of the program, and the commit that it was built from.
program_facts facts();

}  // namespace llm_proxy
