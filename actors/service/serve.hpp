// The life of a serving process: log, service, signals, drain.
#pragma once

#include "actors/service/configuration.hpp"
#include "config/settings.hpp"

#include <functional>
#include <string_view>

namespace llm_proxy {

/// Reads for a SIGHUP what the service that runs by these settings may be told anew (read_configuration()).
using configuration_reader = std::function<configuration(const settings& running)>;

/// Serves until SIGTERM or SIGINT, and ends what is in flight. Call it before there are threads: it blocks
/// the signals that it waits for. `commit`: what the program was built from. The exit code of the process: 0
/// ended by a signal, 1 it could not listen. `read` runs on a thread of its own; one that never comes back
/// delays nothing, not even the end: the process is then ended at once, without returning.
int serve(const settings& values, std::string_view commit, const configuration_reader& read);

}  // namespace llm_proxy
