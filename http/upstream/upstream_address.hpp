#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Where an upstream listens, read from its URL.
struct upstream_address {
  bool tls = false;
  std::string host;         ///< name or IP address, without brackets
  std::string port;         ///< decimal; 80 or 443 when the URL names none
  std::string host_header;  ///< the value of the Host header
  std::string prefix;       ///< path before every request's path, without trailing slash; often empty
};

/// Reads `http(s)://host[:port][/path]` (RFC 3986, by Boost.URL). Returns nullopt for anything else.
std::optional<upstream_address> parse_upstream_address(std::string_view url);

}  // namespace llm_proxy
