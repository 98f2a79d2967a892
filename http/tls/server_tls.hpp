// What the listener needs to speak TLS: certificate, key, and whose clients it trusts.
#pragma once

#include <openssl/ssl.h>

#include <ctime>
#include <memory>
#include <string>
#include <vector>

namespace llm_proxy {

/// PEM files. If all are empty, there is no TLS.
struct tls_files {
  std::string certificate;  ///< the server's, then those between it and the root
  std::string key;          ///< without a passphrase
  std::string client_ca;    ///< who signs clients' certificates; empty if clients need none

  bool any() const { return !certificate.empty() || !key.empty() || !client_ca.empty(); }
};

using server_tls = std::shared_ptr<SSL_CTX>;

/// Reads the files and returns a context for TLS 1.2 (with Mozilla's "intermediate" suites) and up; ALPN
/// offers http/1.1. Returns null if something is wrong, and adds a sentence to `faults` for each thing,
/// beginning with the option's name.
server_tls load_server_tls(const tls_files& files, std::vector<std::string>& faults);

/// Returns a sentence for each thing that clients will object to in that certificate at `now`
/// (certificate_check.hpp).
std::vector<std::string> server_tls_warnings(const tls_files& files, std::time_t now);

}  // namespace llm_proxy
