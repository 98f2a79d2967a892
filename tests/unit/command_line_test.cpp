#include "config/command_line.hpp"

#include "support/catch.hpp"

#include <sstream>
#include <string>
#include <vector>

using namespace llm_proxy;

namespace {

struct outcome {
  std::optional<int> code;
  std::string out, err;
};

outcome run(std::vector<const char*> arguments, const parsed_settings& parsed = {},
            const program_facts& facts = {}) {
  arguments.insert(arguments.begin(), "llm-proxy");
  std::ostringstream out, err;
  const auto code =
      run_command_line(static_cast<int>(arguments.size()), arguments.data(), facts, parsed, out, err);
  return {code, out.str(), err.str()};
}

const parsed_settings faulty{.values = {}, .warnings = {"careful"}, .faults = {"first", "second"}};
const parsed_settings doubtful{.values = {}, .warnings = {"careful"}, .faults = {}};

}  // namespace

TEST_CASE("command line: without arguments it serves", "[unit][command_line]") {
  const auto result = run({});
  CHECK_FALSE(result.code);
  CHECK(result.out.empty());
  CHECK(result.err.empty());
}

TEST_CASE("command line: warnings are shown and don't keep it from serving", "[unit][command_line]") {
  const auto result = run({}, doubtful);
  CHECK_FALSE(result.code);
  CHECK(result.err == "llm-proxy: warning: careful\n");
}

TEST_CASE("command line: a faulty configuration shows every fault and ends with 2", "[unit][command_line]") {
  for (const auto& arguments : {std::vector<const char*>{}, {"--check-config"}, {"--print-config"}}) {
    const auto result = run(arguments, faulty);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err == "llm-proxy: warning: careful\nllm-proxy: error: first\nllm-proxy: error: second\n");
  }
}

TEST_CASE("command line: --check-config says OK", "[unit][command_line]") {
  const auto result = run({"--check-config"}, doubtful);
  CHECK(result.code == 0);
  CHECK(result.out == "OK\n");
  CHECK(result.err == "llm-proxy: warning: careful\n");
}

TEST_CASE("command line: --print-config shows the effective settings", "[unit][command_line]") {
  parsed_settings parsed;
  parsed.values.port = 9;
  const auto result = run({"--print-config"}, parsed);
  CHECK(result.code == 0);
  CHECK(result.out == print_config(parsed.values));
  CHECK(result.out.find("LLM_PROXY__PORT=9\n") != std::string::npos);
}

TEST_CASE("command line: help, version and documents need no valid configuration", "[unit][command_line]") {
  parsed_settings parsed = faulty;
  parsed.values.version = "7.8.9";
  CHECK(run({"--help"}, parsed).out == help_text());
  CHECK(run({"-h"}, parsed).out == help_text());
  CHECK(run({"--version"}, parsed).out == "llm-proxy 7.8.9\n");
  CHECK(run({"--print-env-example"}, parsed).out == env_example());
  CHECK(run({"--print-options-table"}, parsed).out == readme_options_table());
  for (const char* argument : {"--help", "-h", "--version", "--print-env-example", "--print-options-table"}) {
    CHECK(run({argument}, parsed).code == 0);
    CHECK(run({argument}, parsed).err.empty());
  }
  const program_facts facts{
      .subcommands = {}, .commit = {}, .errors_table = [] { return std::string{"|e|\n"}; }};
  CHECK(run({"--print-errors-table"}, parsed, facts).out == "|e|\n");
}

TEST_CASE("command line: any other argument is an error with exit code 2", "[unit][command_line]") {
  for (const auto& arguments : {std::vector<const char*>{"--prot"},
                                {"start"},
                                {""},
                                {"--help", "--version"},
                                {"--port", "80"},
                                {"--HELP"},
                                {"--check-config=1"}}) {
    const auto result = run(arguments);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("llm-proxy: error: "));
  }
  CHECK(run({"--prot"}).err.find("\"--prot\"") != std::string::npos);
  CHECK(run({"\x1b[2J"}).err.find('\x1b') == std::string::npos);
}

TEST_CASE("command line: output that can't be written is an error", "[unit][command_line]") {
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  const char* const arguments[] = {"llm-proxy", "--help"};
  CHECK(run_command_line(2, arguments, {}, {}, out, err) == 1);
  CHECK_FALSE(err.str().empty());
}

TEST_CASE("command line: started without even a name it serves", "[unit][command_line]") {
  std::ostringstream out, err;
  const char* const arguments[] = {nullptr};
  CHECK_FALSE(run_command_line(0, arguments, {}, {}, out, err));
}

TEST_CASE("command line: --version names the commit where it is known", "[unit][command_line]") {
  CHECK(run({"--version"}, {}, {.subcommands = {}, .commit = "v1-3-gabc"}).out ==
        "llm-proxy 0.1.0 (v1-3-gabc)\n");
}

TEST_CASE("command line: a subcommand gets its own arguments and the settings, and --help lists it",
          "[unit][command_line]") {
  static const subcommand rows[] = {{"echo", "[TEXT]", "Says it again.",
                                     [](std::span<const char* const> arguments, const parsed_settings& parsed,
                                        std::ostream& out, std::ostream& err) {
                                       for (const char* argument : arguments) out << argument << '\n';
                                       for (const auto& fault : parsed.faults) err << fault << '\n';
                                       return 7;
                                     }}};
  const program_facts facts{.subcommands = rows, .commit = {}};
  const auto result = run({"echo", "--help", "two"}, faulty, facts);
  CHECK(result.code == 7);
  CHECK(result.out == "--help\ntwo\n");
  CHECK(result.err == "first\nsecond\n");
  CHECK(run({"echo"}, {}, facts).out.empty());
  CHECK(run({"ech"}, {}, facts).code == 2);
  CHECK(run({"--help"}, {}, facts).out.ends_with("  llm-proxy echo [TEXT]\n      Says it again.\n"));
}

TEST_CASE("command line: serve, check-config and print-config do the same as the options",
          "[unit][command_line]") {
  CHECK_FALSE(run({"serve"}).code);
  CHECK(run({"check-config"}).out == "OK\n");
  CHECK(run({"print-config"}).out == run({"--print-config"}).out);
  CHECK(run({"help"}).out == run({"--help"}).out);
  CHECK(run({"serve", "now"}).code == 2);
  CHECK(run({""}).code == 2);
}

TEST_CASE("command line: the manual page names every option and what may be reloaded",
          "[unit][command_line]") {
  const auto page = run({"--print-man-page"}).out;
  CHECK(page.starts_with(".TH LLM\\-PROXY 1"));
  for (const auto* part :
       {"LLM_PROXY__PORT", "LLM_PROXY__REQUEST_TIMEOUT", "Read again on SIGHUP", ".SH EXIT STATUS"})
    CHECK(page.find(part) != std::string::npos);
  // troff would take a line of text that begins with a dot for a request.
  CHECK(page.find("\n.env") == std::string::npos);
}
