// What each command does. Of all: `arguments` are those behind its name; the answer is the exit code (0 done,
// 1 not, 2 wrong use).
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
