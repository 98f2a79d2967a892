// What the service reads from files: its options, and the files that options name. All of it is read at the
// start and on SIGHUP; only regular files are (http/regular_file.hpp).
#pragma once

#include "config/settings.hpp"
#include "http/keys_file.hpp"
#include "http/server_tls.hpp"
#include "http/upstream_tls.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

/// Reads and checks the options and everything that they name; `faults` has a sentence for each thing that is
/// wrong.
parsed_settings read_settings();

/// What a SIGHUP reads for a running service.
struct configuration {
  parsed_settings options;                 ///< with the faults of the files that may change with them
  std::shared_ptr<upstream_tls> upstream;  ///< for https upstreams; null where there is none
  std::optional<parsed_keys> keys;         ///< none: there is no file of keys
  server_tls listener;                     ///< null: there is no TLS, or its files are faulty
  std::vector<std::string> listener_faults;
  std::vector<std::string> listener_warnings;
};

/// `running`: names the files that take a restart to be others. May wait for a file system that hangs. Never
/// throws: what goes wrong is among the faults.
configuration read_configuration(const settings& running);

}  // namespace llm_proxy
