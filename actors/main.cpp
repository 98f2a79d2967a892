// Reads the settings, then does what the command line asks, or serves (serve.hpp).
#include "actors/cli/subcommands.hpp"
#include "actors/service/configuration.hpp"
#include "actors/service/serve.hpp"
#include "config/command_line.hpp"
#include "config/standard_streams.hpp"

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <system_error>

namespace {

/// Streams are sockets, two each: as many as the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// Where this program lies; empty where nobody can say.
std::string program_path() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec).string();
}

}  // namespace

int main(int argc, char** argv) {
  if (!llm_proxy::open_standard_streams()) {
    std::cerr << "llm-proxy: a standard stream is closed, and /dev/null cannot be opened in its place\n";
    return 1;
  }
  const auto call = llm_proxy::take_env_file(argc, argv);
  if (!call.fault.empty()) return llm_proxy::report_wrong_use(std::cerr, call.fault);
  const auto files = llm_proxy::env_files_for(call.env_file, program_path());
  const auto parsed = llm_proxy::read_settings(files);
  const auto count = static_cast<int>(call.arguments.size());
  if (const auto code =
          llm_proxy::run_command_line(count, call.arguments.data(), llm_proxy::facts(), parsed)) {
    return *code;
  }
  raise_descriptor_limit();
  const auto source = std::make_shared<llm_proxy::configuration_source>(files, parsed);
  return llm_proxy::serve(parsed.values, llm_proxy::facts().commit,
                          [source](const llm_proxy::settings& running) { return source->read(running); });
}
