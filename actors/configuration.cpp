#include "actors/configuration.hpp"

#include "actors/proxy.hpp"
#include "config/command_line.hpp"
#include "http/route.hpp"
#include "http/upstream_address.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace llm_proxy {

namespace {

/// What only the routes know of the settings.
void check_passthrough(parsed_settings& parsed) {
  for (const auto& prefix : parsed.values.passthrough_paths) {
    const auto reason = refuse_passthrough(prefix);
    if (reason.empty()) continue;
    parsed.faults.push_back("LLM_PROXY__PASSTHROUGH_PATHS: \"" + prefix + "\" " + std::string{reason});
  }
}

/// What only TLS knows of the settings.
void check_upstream_ca(parsed_settings& parsed) {
  const auto& file = parsed.values.litellm_ca_file;
  const auto fault = check_ca_file(file);
  if (!fault.empty()) parsed.faults.push_back("LLM_PROXY__LITELLM_CA_FILE: \"" + file + "\" " + fault);
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
}

bool has_https(const std::vector<std::string>& urls) {
  return std::any_of(urls.begin(), urls.end(), [](const std::string& url) {
    const auto address = parse_upstream_address(url);
    return address && address->tls;
  });
}

parsed_settings read_live_settings() {
  auto parsed = load_settings();
  check_passthrough(parsed);
  check_upstream_ca(parsed);
  return parsed;
}

}  // namespace

parsed_settings read_settings() {
  auto parsed = read_live_settings();
  check_keys_file(parsed);
  check_listener_tls(parsed);
  return parsed;
}

configuration read_configuration(const settings& running) {
  configuration read;
  try {
    read.options = read_live_settings();
    const auto& fresh = read.options.values;
    if (read.options.faults.empty() && has_https(fresh.litellm_proxy_url))
      read.upstream = make_upstream_tls(fresh.litellm_ca_file);
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
  } catch (const std::exception& error) {
    read.listener_faults.emplace_back(error.what());
  }
  return read;
}

}  // namespace llm_proxy
