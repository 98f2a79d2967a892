// What https upstreams have in common: whom they are trusted by, and which TLS is spoken with them.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <memory>
#include <string>

namespace llm_proxy {

using upstream_tls = boost::asio::ssl::context;

/// TLS 1.2 and up; a peer's certificate must be signed by an authority of `ca_file` (PEM, read now) or, when
/// that is empty, by one of the system's. The host's name is checked per connection. Sockets of all threads
/// share it: it is not changed once made. Throws std::runtime_error that names the file when it is of no use.
std::shared_ptr<upstream_tls> make_upstream_tls(const std::string& ca_file);

/// Why `ca_file` cannot be used, as the end of a sentence that names it; empty: it can, or it is empty.
std::string check_ca_file(const std::string& ca_file);

}  // namespace llm_proxy
