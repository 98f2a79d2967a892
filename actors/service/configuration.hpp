// What the service reads from files: its options, and the files that the options name. They are all read at
// the start and on SIGHUP. Files that are not regular are refused (http/system/regular_file.hpp).
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

/// Reads and checks the options and all files that they name. `faults` has a sentence for each fault.
parsed_settings read_settings(const env_files& files = {});

/// The configuration that a running service reads on SIGHUP.
struct configuration {
  parsed_settings options;                 ///< with the faults of the files that may change with them
  std::shared_ptr<upstream_tls> upstream;  ///< for https upstreams; null if there is none
  std::optional<parsed_keys> keys;         ///< nullopt if there is no file of keys
  server_tls listener;                     ///< null if there is no TLS, or if its files are faulty
  std::vector<std::string> listener_faults;
  std::vector<std::string> listener_warnings;
};

/// Reads the configuration of a running service again. Not thread-safe.
class configuration_source {
 public:
  /// `files` are those that were read at the start, and `at_start` is the result.
  configuration_source(env_files files, const parsed_settings& at_start);

  /// Reads all of it. `running` are the settings in force. They name the files whose paths only a restart can
  /// change, and the TLS files for upstreams if the options are faulty. If the file of options has
  /// disappeared or is empty, that is a fault: otherwise every option would fall back to its default. May
  /// wait for a file system that hangs. Never throws: errors are among the faults.
  configuration read(const settings& running);

 private:
  void check_file(parsed_settings& parsed);

  env_files files_;
  std::string file_;  // the file that options came from last; empty if there is none
};

}  // namespace llm_proxy
