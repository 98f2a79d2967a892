// The few things the binary does beside serving.
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

/// A first argument that is a word (`llm-proxy health …`): it does one thing and ends.
struct subcommand {
  std::string_view name;
  std::string_view usage;     ///< its own arguments, as --help shows them
  std::string_view sentence;  ///< what it does, for --help
  /// `arguments` are those behind its name. It reports on `err` what of them or of the settings it can't use,
  /// and answers the exit code: 0 done, 1 not, 2 wrong use.
  int (*run)(std::span<const char* const> arguments, const parsed_settings& parsed, std::ostream& out,
             std::ostream& err);
};

/// What the command line knows of the program and the settings don't.
struct program_facts {
  std::span<const subcommand> subcommands;
  std::string_view commit;                  ///< which source it was built from; empty: unknown
  std::string (*errors_table)() = nullptr;  ///< the errors as a Markdown table
};

/// Settings from the process environment over the first of `files`, with the faults of both.
parsed_settings load_settings(const env_files& files = {});

/// The arguments without `--env-file FILE` (or `--env-file=FILE`), which may stand first.
struct program_call {
  std::vector<const char*> arguments;  ///< as main() gets them: the program's name first
  std::optional<std::string> env_file;
  std::string fault;  ///< what is wrong with it, for report_wrong_use(); empty: nothing
};
program_call take_env_file(int argc, const char* const* argv);

/// Says what is wrong with how the program was called; the answer is the exit code, 2.
int report_wrong_use(std::ostream& err, std::string_view what);

/// Does what the arguments ask and prints warnings and faults on `err`. The answer is the exit code when the
/// process is to end now (2: wrong argument or configuration); nothing means: serve.
std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed, std::ostream& out, std::ostream& err);
/// The same on stdout and stderr.
std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed);

}  // namespace llm_proxy
