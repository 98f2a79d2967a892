// Reads the settings, then does what the command line asks, or serves (serve.hpp).
#include "actors/cli/subcommands.hpp"
#include "actors/configuration.hpp"
#include "actors/serve.hpp"
#include "config/command_line.hpp"
#include "config/standard_streams.hpp"

#include <iostream>
#include <sys/resource.h>

namespace {

/// Streams are sockets, two each: as many as the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  if (!llm_proxy::open_standard_streams()) {
    std::cerr << "llm-proxy: a standard stream is closed, and /dev/null cannot be opened in its place\n";
    return 1;
  }
  const auto parsed = llm_proxy::read_settings();
  if (const auto code = llm_proxy::run_command_line(argc, argv, llm_proxy::facts(), parsed)) return *code;
  raise_descriptor_limit();
  return llm_proxy::serve(parsed.values, llm_proxy::facts().commit, llm_proxy::read_configuration);
}
