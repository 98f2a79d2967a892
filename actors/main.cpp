// settings -> logging -> proxy -> wait for SIGTERM or SIGINT (SIGHUP: read the keys again) -> drain.
#include "actors/proxy.hpp"
#include "actors/subcommands.hpp"
#include "config/command_line.hpp"
#include "config/logging.hpp"
#include "http/keys_file.hpp"
#include "http/route.hpp"

#include <spdlog/spdlog.h>

#include <csignal>
#include <ctime>
#include <exception>
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

/// Blocked in every thread (the mask is inherited), taken one by one with sigwait: no code runs in a handler.
sigset_t block_end_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t end_signals;
  sigemptyset(&end_signals);
  sigaddset(&end_signals, SIGTERM);
  sigaddset(&end_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end_signals, nullptr);
  sigset_t reload_signal;
  sigemptyset(&reload_signal);
  sigaddset(&reload_signal, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &reload_signal, nullptr);
  return end_signals;
}

/// Reads again what may change while the service runs.
void reload(llm_proxy::proxy& service) {
  const auto faults = service.reload_keys();
  for (const auto& fault : faults) spdlog::error("LLM_PROXY__INTERNAL_API_KEYS_FILE: {}", fault);
  if (faults.empty())
    spdlog::info("SIGHUP: {} keys from LLM_PROXY__INTERNAL_API_KEYS_FILE", service.keys().entries.size());
  else
    spdlog::error("SIGHUP: the keys stay as they were");
}

/// The first signal to end; SIGHUPs before it are obeyed, later ones wait in vain.
int wait_for_end(sigset_t signals, llm_proxy::proxy& service) {
  sigaddset(&signals, SIGHUP);
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload(service);
  return signal;
}

int serve(const llm_proxy::settings& values) {
  const auto end_signals = block_end_signals();
  llm_proxy::start_logging(values);
  try {
    llm_proxy::proxy service{values};
    spdlog::info("llm-proxy {} listens on {}:{}, mode {}", values.version, values.host, service.port(),
                 values.llm_mode == llm_proxy::llm_mode::mock ? "mock" : "litellm");
    const int signal = wait_for_end(end_signals, service);
    spdlog::info("signal {}: no new connections, ending what is in flight", signal);
    const auto again = [&] {
      const timespec at_once{};
      return sigtimedwait(&end_signals, nullptr, &at_once) > 0;
    };
    const bool whole = service.drain_connections(values.drain_timeout, again);
    spdlog::info(whole ? "all requests ended" : "what was still in flight has been cut");
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    llm_proxy::stop_logging();
    std::cerr << "llm-proxy: " << error.what() << '\n';
    return 1;
  }
  llm_proxy::stop_logging();
  return 0;
}

/// What only the routes know of the settings.
void check_passthrough(llm_proxy::parsed_settings& parsed) {
  for (const auto& prefix : parsed.values.passthrough_paths) {
    const auto reason = llm_proxy::refuse_passthrough(prefix);
    if (reason.empty()) continue;
    parsed.faults.push_back("LLM_PROXY__PASSTHROUGH_PATHS: \"" + prefix + "\" " + std::string{reason});
  }
}

void check_keys_file(llm_proxy::parsed_settings& parsed) {
  const auto& file = parsed.values.internal_api_keys_file;
  if (file.empty()) return;
  for (const auto& fault : llm_proxy::read_keys_file(file).faults)
    parsed.faults.push_back("LLM_PROXY__INTERNAL_API_KEYS_FILE: " + fault);
}

}  // namespace

int main(int argc, char** argv) {
  auto parsed = llm_proxy::load_settings();
  check_passthrough(parsed);
  check_keys_file(parsed);
  if (const auto code = llm_proxy::run_command_line(argc, argv, llm_proxy::facts(), parsed)) return *code;
  raise_descriptor_limit();
  return serve(parsed.values);
}
