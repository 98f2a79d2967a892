#include "config/command_line.hpp"

#include "config/env_file.hpp"
#include "config/log_safe.hpp"

#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace llm_proxy {
namespace {

constexpr int ok = 0, output_failed = 1, wrong_use = 2;

/// A full disk or closed pipe must not look like success: scripts write files from what is printed here.
int print(std::ostream& out, std::ostream& err, std::string_view text) {
  out << text << std::flush;
  if (out) return ok;
  err << "llm-proxy: error: the output can't be written\n";
  return output_failed;
}

int report_wrong_use(std::ostream& err, const std::string& what) {
  err << "llm-proxy: error: " << what
      << "\nllm-proxy is configured by environment variables; --help lists them and the arguments\n";
  return wrong_use;
}

/// What an argument prints whatever the configuration is; nothing for the other arguments.
std::optional<std::string> fixed_text(std::string_view argument, const settings& values) {
  if (argument == "--help" || argument == "-h") return help_text();
  if (argument == "--version") return "llm-proxy " + values.version + "\n";
  if (argument == "--print-env-example") return env_example();
  if (argument == "--print-options-table") return readme_options_table();
  return {};
}

}  // namespace

parsed_settings load_settings() {
  environment env = load_environment(::environ);
  parsed_settings parsed = parse_settings(env.values);
  parsed.faults.insert(parsed.faults.begin(), env.faults.begin(), env.faults.end());
  return parsed;
}

std::optional<int> run_command_line(int argc, const char* const* argv, const parsed_settings& parsed,
                                    std::ostream& out, std::ostream& err) {
  const std::string_view argument = argc > 1 ? argv[1] : "";
  if (argc > 2) return report_wrong_use(err, "only one argument at a time");
  if (const auto text = fixed_text(argument, parsed.values)) return print(out, err, *text);
  if (argc > 1 && argument != "--check-config" && argument != "--print-config")
    return report_wrong_use(err, "unknown argument \"" + log_safe(argument) + '"');

  for (const auto& warning : parsed.warnings) err << "llm-proxy: warning: " << warning << '\n';
  for (const auto& fault : parsed.faults) err << "llm-proxy: error: " << fault << '\n';
  err.flush();
  if (!parsed.faults.empty()) return wrong_use;
  if (argument == "--check-config") return print(out, err, "OK\n");
  if (argument == "--print-config") return print(out, err, print_config(parsed.values));
  return {};
}

std::optional<int> run_command_line(int argc, const char* const* argv, const parsed_settings& parsed) {
  return run_command_line(argc, argv, parsed, std::cout, std::cerr);
}

}  // namespace llm_proxy
