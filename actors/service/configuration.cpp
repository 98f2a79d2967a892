#include "actors/service/configuration.hpp"

#include "actors/service/proxy.hpp"
#include "actors/service/proxy_tls.hpp"
#include "config/command_line.hpp"
#include "http/request/host_check.hpp"
#include "http/request/route.hpp"

#include <ctime>
#include <exception>
#include <utility>

namespace llm_proxy {

namespace {

/// Checks PASSTHROUGH_PATHS, for which the table of routes is needed.
void check_passthrough(parsed_settings& parsed) {
  for (const auto& prefix : parsed.values.passthrough_paths) {
    const auto said = judge_passthrough(prefix);
    if (said.reason.empty()) continue;
    auto& list = said.is_warning ? parsed.warnings : parsed.faults;
    list.push_back("LLM_PROXY__PASSTHROUGH_PATHS: \"" + prefix + "\" " + std::string{said.reason});
  }
}

/// While the default key is in use, pages of other machines are refused, listed or not (host_check.hpp).
void check_cors(parsed_settings& parsed) {
  const auto& values = parsed.values;
  if (!default_key_counts(values)) return;
  for (const auto& origin : values.cors_origins) {
    if (is_local_origin(origin, values.host)) continue;
    parsed.faults.push_back(
        "LLM_PROXY__CORS_ORIGINS: \"" + origin +
        "\" would have no effect: LLM_PROXY__INTERNAL_API_KEY is the default that "
        "everybody knows, so only pages of this machine are served; set a key of your own");
  }
}

/// Checks the TLS files for upstreams, for which the TLS library is needed.
void check_upstream_files(parsed_settings& parsed) {
  const auto files = litellm_tls(parsed.values);
  for (auto& fault : check_upstream_tls(files)) parsed.faults.push_back(std::move(fault));
  for (auto& warning : upstream_tls_warnings(files, std::time(nullptr)))
    parsed.warnings.push_back(std::move(warning));
  if (has_https(parsed.values.litellm_proxy_url)) return;
  // Whoever sets one of these believes that the connection is encrypted.
  for (const auto& [name, file] : {std::pair{"LITELLM_CA_FILE", &files.authorities},
                                   std::pair{"LITELLM_CLIENT_CERT_FILE", &files.certificate},
                                   std::pair{"LITELLM_CLIENT_KEY_FILE", &files.key}}) {
    if (file->empty()) continue;
    parsed.faults.push_back("LLM_PROXY__" + std::string{name} +
                            " has no effect: no address of LLM_PROXY__LITELLM_PROXY_URL is https");
  }
}

void check_keys_file(parsed_settings& parsed) {
  const auto& file = parsed.values.internal_api_keys_file;
  if (file.empty()) return;
  for (const auto& fault : read_keys_file(file).faults)
    parsed.faults.push_back("LLM_PROXY__INTERNAL_API_KEYS_FILE: " + fault + " (" + file + ")");
}

void check_listener_tls(parsed_settings& parsed) {
  const auto files = listener_tls(parsed.values);
  if (files.any()) load_server_tls(files, parsed.faults);
  for (auto& warning : server_tls_warnings(files, std::time(nullptr)))
    parsed.warnings.push_back(std::move(warning));
}

parsed_settings read_live_settings(const env_files& files) {
  auto parsed = load_settings(files);
  check_passthrough(parsed);
  check_cors(parsed);
  check_upstream_files(parsed);
  return parsed;
}

}  // namespace

parsed_settings read_settings(const env_files& files) {
  auto parsed = read_live_settings(files);
  check_keys_file(parsed);
  check_listener_tls(parsed);
  return parsed;
}

configuration_source::configuration_source(env_files files, const parsed_settings& at_start)
    : files_{std::move(files)}, file_{at_start.file_has_options ? at_start.file : std::string{}} {}

void configuration_source::check_file(parsed_settings& parsed) {
  if (!parsed.unreadable.empty()) {
    parsed.faults.push_back(parsed.unreadable);
  } else if (!file_.empty() && parsed.file != file_) {
    parsed.faults.push_back(file_ + ", where the options were read from, is missing");
  } else if (!file_.empty() && !parsed.file_has_options) {
    parsed.faults.push_back(file_ + ", where the options were read from, has none any more");
  } else if (parsed.file_has_options) {
    file_ = parsed.file;
  }
}

configuration configuration_source::read(const settings& running) {
  configuration read;
  try {
    read.options = read_live_settings(files_);
    check_file(read.options);
    // Renewed certificates are used even if the options are faulty. Their paths are then those in force.
    read.upstream = read_litellm_tls(read.options.faults.empty() ? read.options.values : running);
  } catch (const std::exception& error) {
    read.options.faults.emplace_back(error.what());
  }
  try {
    if (const auto& file = running.internal_api_keys_file; !file.empty()) {
      read.keys = read_keys_file(file);
      for (auto& fault : read.keys->faults) fault += " (" + file + ")";
    }
  } catch (const std::exception& error) {
    read.keys = parsed_keys{{}, {error.what()}};
  }
  try {
    const auto files = listener_tls(running);
    if (files.any()) read.listener = load_server_tls(files, read.listener_faults);
    read.listener_warnings = server_tls_warnings(files, std::time(nullptr));
  } catch (const std::exception& error) {
    read.listener_faults.emplace_back(error.what());
  }
  return read;
}

}  // namespace llm_proxy
