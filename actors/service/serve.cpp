#include "actors/service/serve.hpp"

#include "actors/service/background_reader.hpp"
#include "actors/service/proxy.hpp"
#include "config/logging.hpp"
#include "config/reload.hpp"
#include "http/downstream/listener.hpp"
#include "http/system/descriptor_limit.hpp"
#include "http/system/owned_descriptor.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using reader = background_reader<settings, configuration>;

/// If the files have not been read after this time, the log says so.
constexpr auto slow_read = std::chrono::seconds{10};

/// Blocks the signals in every thread, because threads inherit the mask. They are read one by one, so no code
/// runs in a signal handler. Returns SIGTERM and SIGINT.
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

void warn_of_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= least_descriptors) return;
  spdlog::warn(
      "the limit on open files is {} (ulimit -n, LimitNOFILE): a request takes two, and some are kept "
      "for all else; set it to at least {}",
      limit.rlim_cur, least_descriptors);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& each : names) text += (text.empty() ? "" : ", ") + each;
  return text;
}

/// Uses the new options, or none of them if one is faulty.
void use_options(proxy& service, settings& values, const configuration& fresh) {
  const auto& parsed = fresh.options;
  for (const auto& warning : parsed.warnings) spdlog::warn("{}", warning);
  for (const auto& fault : parsed.faults) spdlog::error("{}", fault);
  if (!parsed.faults.empty()) {
    spdlog::error("SIGHUP: the options stay as they were");
    return;
  }
  if (parsed.file.empty())
    spdlog::info("SIGHUP: there is no file of options; those of the environment stay");
  else
    spdlog::info("SIGHUP: options read from {}", parsed.file);
  const auto merged = merge_reloaded(values, parsed.values);
  if (!merged.ignored.empty())
    spdlog::warn("SIGHUP: not changed, since it takes a restart: {}", joined(merged.ignored));
  if (merged.changed.empty()) return;
  try {
    service.reconfigure(merged.values, fresh.upstream);
  } catch (const std::exception& error) {
    spdlog::error("SIGHUP: the options stay as they were: {}", error.what());
    return;
  }
  set_log_level(merged.values.log_level);
  values = merged.values;
  spdlog::info("SIGHUP: changed: {}", joined(merged.changed));
}

/// Uses everything in `fresh` that may change while the service runs.
void use(proxy& service, settings& values, configuration&& fresh) {
  use_options(service, values, fresh);
  if (fresh.keys && !fresh.keys->faults.empty()) {
    for (const auto& fault : fresh.keys->faults)
      spdlog::error("LLM_PROXY__INTERNAL_API_KEYS_FILE: {}", fault);
    spdlog::error("SIGHUP: the keys stay as they were");
  } else {
    if (fresh.keys) {
      const auto count = fresh.keys->entries.size();
      service.use_keys(std::move(fresh.keys->entries));
      spdlog::info("SIGHUP: {} keys from LLM_PROXY__INTERNAL_API_KEYS_FILE", count);
    }
  }
  for (const auto& warning : fresh.listener_warnings) spdlog::warn("{}", warning);
  if (fresh.listener || !fresh.listener_faults.empty())
    service.use_tls(fresh.listener, fresh.listener_faults);
  service.use_upstream_tls(fresh.upstream);
}

/// `values` are the settings in force.
void request_read(reader& files, const settings& values) {
  if (files.reading()) spdlog::warn("SIGHUP: the files of the one before are still being read");
  try {
    files.request(values);
  } catch (const std::exception& error) {
    spdlog::error("SIGHUP: nothing is read: {}", error.what());
  }
}

/// Waits for the first SIGTERM or SIGINT, and returns it. A SIGHUP before it starts a read of `files`, and
/// the result is used when it is there. A later SIGHUP has no effect.
int wait_for_end(sigset_t signals, reader& files, proxy& service, settings& values) {
  sigaddset(&signals, SIGHUP);
  const owned_descriptor signalled{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  bool told = false;
  while (true) {
    std::array<pollfd, 2> ready{pollfd{signalled.get(), POLLIN, 0},
                                pollfd{files.ready_descriptor(), POLLIN, 0}};
    const bool patient = !files.reading() || told;
    const int limit = patient ? -1 : static_cast<int>(std::chrono::milliseconds{slow_read}.count());
    const int events = ::poll(ready.data(), ready.size(), limit);
    if (events == 0) {
      spdlog::error(
          "SIGHUP: the files of the configuration have not been read in 10 s; all stays as it was until they "
          "are");
      told = true;
    }
    // Signals come first, so that the end does not wait until a new configuration is in use.
    signalfd_siginfo signal{};
    while (::read(signalled.get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo != SIGHUP) return static_cast<int>(signal.ssi_signo);
      request_read(files, values);
    }
    if (auto fresh = files.take()) {
      told = false;
      try {
        use(service, values, std::move(*fresh));
      } catch (const std::exception& error) {  // most likely out of memory
        spdlog::error("SIGHUP: what was read could not all be used: {}", error.what());
      }
      // Only now are the settings in force known that the next read needs.
      if (files.requested_again()) request_read(files, values);
    }
  }
}

/// Returns whether one of `signals` arrives within `time`.
bool comes_within(const sigset_t& signals, std::chrono::milliseconds time) {
  const timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
  return sigtimedwait(&signals, nullptr, &limit) > 0;
}

/// Ends the requests in flight.
void drain_service(proxy& service, const settings& values, const sigset_t& end_signals, int signal) {
  service.announce_drain();
  const auto delay = values.drain_delay;
  if (delay.count() > 0)
    spdlog::info("signal {}: not ready any more, listening for another {} ms", signal, delay.count());
  const bool hurry = delay.count() > 0 && comes_within(end_signals, delay);
  spdlog::info("signal {}: no new connections, ending what is in flight", signal);
  const auto again = [&] { return hurry || comes_within(end_signals, std::chrono::milliseconds{0}); };
  const bool whole = service.drain_connections(values.drain_timeout, again);
  spdlog::info(whole ? "all requests ended" : "what was still in flight has been cut");
}

}  // namespace

int serve(const settings& given, std::string_view commit, const configuration_reader& read) {
  settings values = given;
  const auto end_signals = block_signals();
  start_logging(values);
  warn_of_descriptor_limit();
  reader files{read};
  try {
    const auto inherited = take_inherited_descriptor();
    proxy service{values, {}, inherited, {}, {}, commit};
    spdlog::info("llm-proxy {} listens on {}:{}{}, mode {}", values.version, service.host(), service.port(),
                 inherited ? " (a socket handed over)" : "",
                 values.llm_mode == llm_mode::mock ? "mock" : "litellm");
    const int signal = wait_for_end(end_signals, files, service, values);
    drain_service(service, values, end_signals, signal);
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    stop_logging();
    std::cerr << "llm-proxy: " << error.what() << '\n';
    return 1;
  }
  stop_logging();
  // The thread that reads may continue at any moment, and must not run while static objects are destroyed.
  if (files.reading()) std::_Exit(0);
  return 0;
}

}  // namespace llm_proxy
