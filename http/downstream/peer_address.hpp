// The address of the client at the other end of a socket.
#pragma once

#include <string>

namespace llm_proxy {

/// Returns the peer's IP address (getpeername(2)) without a port, an IPv4 address always in IPv4's own form;
/// empty if it is not known.
std::string peer_address(int descriptor);

}  // namespace llm_proxy
