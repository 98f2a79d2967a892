// TLS towards a server: checks the name in its certificate, and explains to an operator why a handshake
// failed. The explanations go to the log only; no client reads them.
#pragma once

#include <boost/system/error_code.hpp>
#include <openssl/ssl.h>

#include <string>

namespace llm_proxy {

/// Requires from now on that the peer's certificate names `host`, a name or an IP address (RFC 9110 §4.3.4).
/// Throws std::bad_alloc.
void require_host(SSL& tls, const std::string& host);

/// Returns why the handshake of `tls` with `host` failed with `ec`: what is wrong with the server's
/// certificate if that is the reason, else what the server or the system reported.
std::string explain_handshake(const SSL& tls, const std::string& host, const boost::system::error_code& ec);

/// Whether `ec`, from a read that has returned no bytes yet, says that the server refused our handshake. In
/// TLS 1.3 the refusal may come when the handshake is complete on our side (RFC 8446 §4.4.2.4). The server
/// has then not looked at anything that was sent after it.
bool refuses_handshake(const boost::system::error_code& ec);

}  // namespace llm_proxy
