// settings -> logging -> proxy -> wait for SIGTERM or SIGINT (SIGHUP: read files again) -> drain.
#include "actors/cli/subcommands.hpp"
#include "actors/proxy.hpp"
#include "config/command_line.hpp"
#include "config/logging.hpp"
#include "config/reload.hpp"
#include "http/descriptor_limit.hpp"
#include "config/standard_streams.hpp"
#include "http/keys_file.hpp"
#include "http/listener.hpp"
#include "http/route.hpp"
#include "http/upstream_tls.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <exception>
#include <iostream>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace {

/// Streams are sockets, two each: as many as the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void warn_of_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= llm_proxy::least_descriptors) return;
  spdlog::warn(
      "the limit on open files is {} (ulimit -n, LimitNOFILE): a request takes two, and some are kept "
      "for all else; set it to at least {}",
      limit.rlim_cur, llm_proxy::least_descriptors);
}

/// Blocked in every thread (the mask is inherited), taken one by one with sigwait: no code runs in a handler.
sigset_t block_signals() {
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

/// What only the routes know of the settings.
void check_passthrough(llm_proxy::parsed_settings& parsed) {
  for (const auto& prefix : parsed.values.passthrough_paths) {
    const auto reason = llm_proxy::refuse_passthrough(prefix);
    if (reason.empty()) continue;
    parsed.faults.push_back("LLM_PROXY__PASSTHROUGH_PATHS: \"" + prefix + "\" " + std::string{reason});
  }
}

/// What only TLS knows of the settings.
void check_ca_file(llm_proxy::parsed_settings& parsed) {
  const auto& file = parsed.values.litellm_ca_file;
  const auto fault = llm_proxy::check_ca_file(file);
  if (!fault.empty()) parsed.faults.push_back("LLM_PROXY__LITELLM_CA_FILE: \"" + file + "\" " + fault);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& each : names) text += (text.empty() ? "" : ", ") + each;
  return text;
}

/// Reads the options again; all of them or none.
void reload_options(llm_proxy::proxy& service, llm_proxy::settings& values) {
  auto parsed = llm_proxy::load_settings();
  check_passthrough(parsed);
  check_ca_file(parsed);
  for (const auto& warning : parsed.warnings) spdlog::warn("{}", warning);
  for (const auto& fault : parsed.faults) spdlog::error("{}", fault);
  if (!parsed.faults.empty()) {
    spdlog::error("SIGHUP: the options stay as they were");
    return;
  }
  const auto fresh = llm_proxy::merge_reloaded(values, parsed.values);
  if (!fresh.ignored.empty())
    spdlog::warn("SIGHUP: not changed, since it takes a restart: {}", joined(fresh.ignored));
  if (fresh.changed.empty()) return;
  try {
    service.reconfigure(fresh.values);
  } catch (const std::exception& error) {
    spdlog::error("SIGHUP: the options stay as they were: {}", error.what());
    return;
  }
  llm_proxy::set_log_level(fresh.values.log_level);
  values = fresh.values;
  spdlog::info("SIGHUP: changed: {}", joined(fresh.changed));
}

/// Reads again what may change while the service runs.
void reload(llm_proxy::proxy& service, llm_proxy::settings& values) {
  reload_options(service, values);
  const auto faults = service.reload_keys();
  for (const auto& fault : faults) spdlog::error("LLM_PROXY__INTERNAL_API_KEYS_FILE: {}", fault);
  if (faults.empty())
    spdlog::info("SIGHUP: {} keys from LLM_PROXY__INTERNAL_API_KEYS_FILE", service.keys().entries.size());
  else
    spdlog::error("SIGHUP: the keys stay as they were");
  service.reload_tls();
}

/// The first signal to end; SIGHUPs before it are obeyed, later ones wait in vain.
int wait_for_end(sigset_t signals, llm_proxy::proxy& service, llm_proxy::settings& values) {
  sigaddset(&signals, SIGHUP);
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) reload(service, values);
  return signal;
}

/// Whether one of `signals` comes within `time`.
bool comes_within(const sigset_t& signals, std::chrono::milliseconds time) {
  const timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
  return sigtimedwait(&signals, nullptr, &limit) > 0;
}

int serve(llm_proxy::settings values) {
  const auto end_signals = block_signals();
  llm_proxy::start_logging(values);
  warn_of_descriptor_limit();
  try {
    const auto inherited = llm_proxy::take_inherited_descriptor();
    llm_proxy::proxy service{values, {}, inherited, {}, {}, llm_proxy::facts().commit};
    spdlog::info("llm-proxy {} listens on {}:{}{}, mode {}", values.version, service.host(), service.port(),
                 inherited ? " (a socket handed over)" : "",
                 values.llm_mode == llm_proxy::llm_mode::mock ? "mock" : "litellm");
    const int signal = wait_for_end(end_signals, service, values);
    service.announce_drain();
    const auto delay = values.drain_delay;
    if (delay.count() > 0)
      spdlog::info("signal {}: not ready any more, listening for another {} ms", signal, delay.count());
    const bool hurry = delay.count() > 0 && comes_within(end_signals, delay);
    spdlog::info("signal {}: no new connections, ending what is in flight", signal);
    const auto again = [&] { return hurry || comes_within(end_signals, std::chrono::milliseconds{0}); };
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

void check_keys_file(llm_proxy::parsed_settings& parsed) {
  const auto& file = parsed.values.internal_api_keys_file;
  if (file.empty()) return;
  for (const auto& fault : llm_proxy::read_keys_file(file).faults)
    parsed.faults.push_back("LLM_PROXY__INTERNAL_API_KEYS_FILE: " + fault);
}

/// What only the files know.
void check_tls(llm_proxy::parsed_settings& parsed) {
  const auto files = llm_proxy::listener_tls(parsed.values);
  if (files.any()) llm_proxy::load_server_tls(files, parsed.faults);
}

}  // namespace

int main(int argc, char** argv) {
  if (!llm_proxy::open_standard_streams()) {
    std::cerr << "llm-proxy: a standard stream is closed, and /dev/null cannot be opened in its place\n";
    return 1;
  }
  auto parsed = llm_proxy::load_settings();
  check_passthrough(parsed);
  check_keys_file(parsed);
  check_tls(parsed);
  check_ca_file(parsed);
  if (const auto code = llm_proxy::run_command_line(argc, argv, llm_proxy::facts(), parsed)) return *code;
  raise_descriptor_limit();
  return serve(parsed.values);
}
