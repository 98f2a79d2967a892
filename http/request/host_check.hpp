// Whether a request is addressed to this machine by a name that no one else can give it. A web page may let
// its own host name resolve to 127.0.0.1 after it was loaded (DNS rebinding). It can then call this service
// as if it were the page's own server. A page cannot choose the Host header, so that header still has the
// page's host name.
#pragma once

#include "http/wire/message.hpp"

#include <string>
#include <string_view>

namespace llm_proxy {

/// Whether `authority` (RFC 3986 §3.2, without user info: `host[:port]`) is localhost or a name below it
/// (RFC 6761 §6.3), an address of 127.0.0.0/8, [::1], or `own_host` (an IP address without brackets, or a
/// name), each with any port.
bool is_local_authority(std::string_view authority, std::string_view own_host);

/// The same for the value of an Origin header: `scheme://host[:port]` (RFC 6454 §6.2). `null` is foreign.
bool is_local_origin(std::string_view origin, std::string_view own_host);

/// Returns the header that makes a request foreign, for the log: `Host evil.example` or
/// `Origin https://evil.example`. Empty if its Host and its Origin are local or absent.
std::string foreign_origin_of(const request_head& head, std::string_view own_host);

}  // namespace llm_proxy
