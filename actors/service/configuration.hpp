// What the service reads from files: its options, and the files that options name. All of it is read at the
// start and on SIGHUP; only regular files are (http/system/regular_file.hpp).
#pragma once

#include "config/env_file.hpp"
#include "config/settings.hpp"
#include "http/keys/keys_file.hpp"
#include "http/tls/server_tls.hpp"
#include "http/tls/upstream_tls.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

/// Reads and checks the options and everything that they name; `faults` has a sentence for each thing that is
/// wrong.
parsed_settings read_settings(const env_files& files = {});

/// What a SIGHUP reads for a running service.
struct configuration {
  parsed_settings options;                 ///< with the faults of the files that may change with them
  std::shared_ptr<upstream_tls> upstream;  ///< for https upstreams; null where there is none
  std::optional<parsed_keys> keys;         ///< none: there is no file of keys
  server_tls listener;                     ///< null: there is no TLS, or its files are faulty
  std::vector<std::string> listener_faults;
  std::vector<std::string> listener_warnings;
};

/// Reads a running service's configuration again. Not for two threads at once.
class configuration_source {
 public:
  /// `files` as they were read at the start, with what came of it.
  configuration_source(env_files files, const parsed_settings& at_start);

  /// `running`: names the files that take a restart to be others. A file of options that has gone, or that is
  /// empty now, is a fault: the defaults are nobody's wish. May wait for a file system that hangs. Never
  /// throws: what goes wrong is among the faults.
  configuration read(const settings& running);

 private:
  void check_file(parsed_settings& parsed);

  env_files files_;
  std::string file_;  // that options came from last; empty: none
};

}  // namespace llm_proxy
