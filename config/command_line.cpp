#include "config/command_line.hpp"

#include "config/env_file.hpp"
#include "config/log_safe.hpp"
#include "config/man_page.hpp"

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace llm_proxy {
namespace {

constexpr int ok = 0, output_failed = 1, wrong_use = 2;

/// Fails if the disk is full or the pipe closed, because scripts write files from this output.
int print(std::ostream& out, std::ostream& err, std::string_view text) {
  out << text << std::flush;
  if (out) return ok;
  err << "llm-proxy: error: the output can't be written\n";
  return output_failed;
}

std::string version_text(const program_facts& facts, const settings& values) {
  std::string text = "llm-proxy " + values.version;
  if (!facts.commit.empty()) text.append(" (").append(facts.commit).append(")");
  return text + "\n";
}

constexpr std::string_view commands_title =
    "\nCommands (those that ask a running service find it by HOST and PORT, or by --url "
    "http(s)://HOST[:PORT],\n"
    "with --ca-file FILE for an authority of your own; the key is INTERNAL_API_KEY):\n";

std::string subcommands_text(std::span<const subcommand> subcommands) {
  std::string text = subcommands.empty() ? "" : std::string{commands_title};
  for (const auto& row : subcommands) {
    text.append("  llm-proxy ").append(row.name).append(row.usage.empty() ? "" : " ").append(row.usage);
    text.append("\n      ").append(row.sentence).append("\n");
  }
  return text;
}

/// Returns the option that the word stands for; other arguments are returned unchanged.
std::string_view as_option(std::string_view argument) {
  if (argument == "serve") return "";
  if (argument == "check-config") return "--check-config";
  if (argument == "print-config") return "--print-config";
  if (argument == "help") return "--help";
  return argument;
}

/// Returns what an argument prints that does not depend on the configuration; nullopt for other arguments.
std::optional<std::string> fixed_text(std::string_view argument, const program_facts& facts,
                                      const settings& values) {
  if (argument == "--help" || argument == "-h") return help_text() + subcommands_text(facts.subcommands);
  if (argument == "--version") return version_text(facts, values);
  if (argument == "--print-env-example") return env_example();
  if (argument == "--print-man-page") return man_page(facts, settings{});
  if (argument == "--print-options-table") return readme_options_table();
  if (argument == "--print-errors-table" && facts.errors_table != nullptr) return facts.errors_table();
  return {};
}

}  // namespace

parsed_settings load_settings(const env_files& files) {
  environment env = load_environment(::environ, files);
  parsed_settings parsed = parse_settings(env.values);
  parsed.faults.insert(parsed.faults.begin(), env.faults.begin(), env.faults.end());
  for (const auto& name : env.file_names) {
    if (auto warning = warn_of_bare_name(name); !warning.empty())
      parsed.warnings.push_back(env.file + ": " + warning);
  }
  parsed.file = std::move(env.file);
  parsed.file_has_options = !env.file_names.empty();
  parsed.unreadable = std::move(env.unreadable);
  return parsed;
}

program_call take_env_file(int argc, const char* const* argv) {
  constexpr std::string_view name = "--env-file";
  program_call call{{argv, argv + argc}, std::nullopt, {}};
  if (argc < 2) return call;
  const std::string_view first = argv[1];
  if (first == name) {
    if (argc > 2) call.env_file = argv[2];
    call.arguments.erase(call.arguments.begin() + 1, call.arguments.begin() + std::min(argc, 3));
  } else if (first.starts_with(std::string{name} + "=")) {
    call.env_file = first.substr(name.size() + 1);
    call.arguments.erase(call.arguments.begin() + 1);
  } else {
    return call;
  }
  if (!call.env_file || call.env_file->empty()) call.fault = "--env-file needs a FILE";
  return call;
}

int report_wrong_use(std::ostream& err, std::string_view what) {
  err << "llm-proxy: error: " << what
      << "\nllm-proxy is configured by environment variables; --help lists them and the arguments\n";
  return wrong_use;
}

std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed, std::ostream& out, std::ostream& err) {
  const auto argument = as_option(argc > 1 ? argv[1] : "");
  for (const auto& row : facts.subcommands)
    if (argument == row.name) {
      // A command works without the file: its options may come from arguments or be the defaults.
      if (!parsed.unreadable.empty()) err << "llm-proxy: warning: " << parsed.unreadable << std::endl;
      return row.run({argv + 2, static_cast<std::size_t>(argc - 2)}, parsed, out, err);
    }
  if (argc > 2) return report_wrong_use(err, "only one argument at a time");
  if (argc > 1 && *argv[1] == '\0') return report_wrong_use(err, "unknown argument \"\"");
  if (const auto text = fixed_text(argument, facts, parsed.values)) return print(out, err, *text);
  if (!argument.empty() && argument != "--check-config" && argument != "--print-config")
    return report_wrong_use(err, "unknown argument \"" + log_safe(argument) + '"');

  for (const auto& warning : parsed.warnings) err << "llm-proxy: warning: " << warning << '\n';
  if (!parsed.unreadable.empty()) err << "llm-proxy: error: " << parsed.unreadable << '\n';
  for (const auto& fault : parsed.faults) err << "llm-proxy: error: " << fault << '\n';
  err.flush();
  if (!parsed.faults.empty() || !parsed.unreadable.empty()) return wrong_use;
  if (argument == "--check-config") return print(out, err, "OK\n");
  if (argument == "--print-config") return print(out, err, print_config(parsed.values));
  return {};
}

std::optional<int> run_command_line(int argc, const char* const* argv, const program_facts& facts,
                                    const parsed_settings& parsed) {
  return run_command_line(argc, argv, facts, parsed, std::cout, std::cerr);
}

}  // namespace llm_proxy
