// TLS towards a server: whose name its certificate must bear, and why a handshake failed, in an operator's
// words. For the log: a client of ours never reads them.
#pragma once

#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>

#include <string>

namespace llm_proxy {

/// From now on the peer's certificate must name `host`, a name or an IP address (RFC 9110 §4.3.4). Throws
/// std::bad_alloc.
void require_host(SSL& tls, const std::string& host);

/// Why the handshake of `tls` with `host` failed with `ec`: what is wrong with the server's certificate where
/// that is the reason, else what the server or the system said.
std::string explain_handshake(const SSL& tls, const std::string& host, const boost::system::error_code& ec);

/// Whether `ec`, of a read that has brought nothing yet, is the server's refusal of our handshake. In TLS 1.3
/// it may come when ours is already complete (RFC 8446 §4.4.2.4): nothing that was sent after it has been
/// looked at.
bool refuses_handshake(const boost::system::error_code& ec);

}  // namespace llm_proxy
