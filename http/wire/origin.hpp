// The origin of a web page (RFC 6454), as options list it and as browsers send it in the header Origin.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

struct origin_reading {
  /// In the one spelling that equal origins share: in lower case, without the scheme's default port, an IPv6
  /// address in its shortest form. Empty if there is a fault.
  std::string origin;
  std::string_view fault;  ///< follows the text in a message; empty if there is none
};

/// Reads `scheme://host[:port]`. Schemes other than http and https are those of applications with a browser
/// inside (`tauri://localhost`). A path, a wildcard, a user name and `null` are faults.
origin_reading read_origin(std::string_view text);

}  // namespace llm_proxy
