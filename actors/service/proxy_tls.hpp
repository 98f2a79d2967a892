// The TLS files that the settings name, for the listener and for https upstreams.
#pragma once

#include "config/settings.hpp"
#include "http/tls/server_tls.hpp"
#include "http/tls/upstream_tls.hpp"

#include <memory>
#include <string>
#include <vector>

namespace llm_proxy {

/// Returns the files that the listener's TLS is made from.
tls_files listener_tls(const settings& values);

/// Returns the files that the TLS for https upstreams is made from.
upstream_tls_files litellm_tls(const settings& values);

/// Reads the files of litellm_tls(). Returns null if no upstream is https. Throws a std::runtime_error that
/// names the file that cannot be used.
std::shared_ptr<upstream_tls> read_litellm_tls(const settings& values);

/// Returns whether one of these addresses is https.
bool has_https(const std::vector<std::string>& urls);

}  // namespace llm_proxy
