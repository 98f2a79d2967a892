#include "actors/cli/subcommands.hpp"

#include "actors/cli/commands.hpp"
#include "config/commit.hpp"
#include "http/answer/errors_table.hpp"

namespace llm_proxy {
namespace {

constexpr subcommand rows[] = {
    {"chat", "[-m MODEL] [-s SYSTEM] TEXT | -",
     "Ask the running service and print the answer as it streams; - reads the text from the input.\n"
     "      Without -m its DEFAULT_MODEL answers. Exit code 1, with the reason, when the answer is not "
     "whole.",
     chat_command},
    {"models", "", "List the models of the running service.", models_command},
    {"health", "", "Exit code 0 when GET /health of the running service answers 200 within 2 s, else 1.",
     health_command},
    {"keys",
     "add NAME [--expires TIME] [--max-concurrent N] [--rpm N] [--tpm N] [--models A,B*] [--routes A,B]",
     "Make a key, print it, and write its SHA-256 to the file of INTERNAL_API_KEYS_FILE (or --file).\n"
     "      A further key of a name takes over its limits, models and routes.",
     keys_command},
    {"keys", "list", "Show names, digests, expiry, limits, models and routes.", keys_command},
    {"keys", "revoke NAME [--sha256 DIGITS]",
     "Take its keys out of the file, or the one whose SHA-256 begins so.", keys_command},
};

}  // namespace

program_facts facts() {
  return {.subcommands = rows, .commit = built_from, .errors_table = readme_errors_table};
}

}  // namespace llm_proxy
