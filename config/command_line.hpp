// What the binary does besides serving.
#pragma once

#include "config/env_file.hpp"
#include "config/settings.hpp"

#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// A command: a word as the first argument (`llm-proxy health …`). It does one thing and ends.
struct subcommand {
  std::string_view name;
  std::string_view usage;     ///< its own arguments, as --help shows them
  std::string_view sentence;  ///< what it does, for --help
  /// `arguments` are those after the name. It writes to `err` which arguments or settings it cannot use, and
  /// returns the exit code: 0 for success, 1 for failure, 2 for wrong use.
  int (*run)(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
             std::ostream& err);
};

/// Facts about the program that are not settings.
struct program_facts {
  std::span<const subcommand> subcommands;
  std::string_view commit;                  ///< that it was built from; empty if unknown
  std::string (*errors_table)() = nullptr;  ///< the errors as a Markdown table
};

/// Returns the settings from the process environment, which wins over the first existing file of `files`,
/// with the faults of both.
parsed_settings load_settings(const env_files& files = {});

/// The arguments without `--env-file FILE` (or `--env-file=FILE`), which may only come first.
struct program_call {
  std::vector<const char*> arguments;  ///< as main() gets them, with the program's name first
  std::optional<std::string> env_file;
  std::string fault;  ///< what is wrong, for report_wrong_use(); empty if nothing is
};
program_call take_env_file(int argc, const char* const* argv);

/// Writes what is wrong with how the program was called. Returns the exit code, 2.
int report_wrong_use(std::ostream& err, std::string_view what);

/// Does what the arguments ask for, and writes warnings and faults to `err`. Returns the exit code if the
/// process is to end now (2 for a wrong argument or configuration), and nullopt if it is to serve.
std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed, std::ostream& out, std::ostream& err);
/// Does the same with stdout and stderr.
std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed);

}  // namespace llm_proxy
