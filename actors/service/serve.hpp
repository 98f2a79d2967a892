// The life of a serving process: log, service, signals, drain.
#pragma once

#include "actors/service/configuration.hpp"
#include "config/settings.hpp"

#include <functional>
#include <string_view>

namespace llm_proxy {

/// Reads the configuration again on SIGHUP. `running` are the settings in force, with what earlier SIGHUPs
/// have changed (configuration_source::read()).
using configuration_reader = std::function<configuration(const settings& running)>;

/// Serves until SIGTERM or SIGINT, then ends the requests in flight. Has to be called before other threads
/// are started, because it blocks the signals that it waits for. `commit` is the commit that the program was
/// built from. Returns the exit code of the process: 0 if a signal ended it, 1 if the service could not start
/// or failed. `read` runs on a thread of its own. If it is still running at the end, the process ends at once
/// with the exit code 0, and serve() does not return.
int serve(const settings& values, std::string_view commit, const configuration_reader& read);

}  // namespace llm_proxy
