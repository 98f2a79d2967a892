// Decides what a configuration that was read again changes in a running service.
#pragma once

#include "config/settings.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

struct reloaded_settings {
  settings values;                   ///< valid from now on
  std::vector<std::string> changed;  ///< variables whose new value is used
  std::vector<std::string> ignored;  ///< variables whose new value needs a restart
};

/// Returns `fresh`, but with the running values of all options that cannot change while the service runs.
reloaded_settings merge_reloaded(const settings& running, const settings& fresh);

}  // namespace llm_proxy
