// The commands of the program. `arguments` are those that follow the command's name. Each returns the exit
// code: 0 for success, 1 for failure, 2 for wrong use.
#pragma once

#include "config/command_line.hpp"

#include <iosfwd>
#include <span>

namespace llm_proxy {

int health_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                   std::ostream& err);
int models_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                   std::ostream& err);
int chat_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                 std::ostream& err);
int keys_command(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
                 std::ostream& err);

}  // namespace llm_proxy
