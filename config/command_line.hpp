// The few things the binary does beside serving.
#pragma once

#include "config/settings.hpp"

#include <iosfwd>
#include <optional>

namespace llm_proxy {

/// Settings from the process environment over `.env` in the working directory, with the faults of both.
parsed_settings load_settings();

/// Does what the arguments ask and prints warnings and faults on `err`. The answer is the exit code when the
/// process is to end now (2: wrong argument or configuration); nothing means: serve.
std::optional<int> run_command_line(int argc, const char* const* argv, const parsed_settings& parsed,
                                    std::ostream& out, std::ostream& err);
/// The same on stdout and stderr.
std::optional<int> run_command_line(int argc, const char* const* argv, const parsed_settings& parsed);

}  // namespace llm_proxy
