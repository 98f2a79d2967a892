#pragma once

#include "config/command_line.hpp"

namespace llm_proxy {

/// What the binary does beside serving that needs more than its settings, one row each, and the commit it was
/// built from.
program_facts facts();

}  // namespace llm_proxy
