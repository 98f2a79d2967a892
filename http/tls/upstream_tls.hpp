// What all https upstreams have in common: the authorities that must have signed their certificates, the
// certificate that we show them, and the TLS versions.
#pragma once

#include "http/keys/keys.hpp"

#include <boost/asio/ssl/context.hpp>

#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

/// PEM files.
struct upstream_tls_files {
  std::string authorities;  ///< who signs upstreams' certificates; empty for the system's authorities
  /// Ours, then those between it and the root, for an upstream that asks for one; empty if there is none.
  std::string certificate = {};
  std::string key = {};  ///< of `certificate`, without a passphrase

  bool operator==(const upstream_tls_files&) const = default;
};

/// Sockets of all threads share it, so it does not change once it is made.
class upstream_tls final : public boost::asio::ssl::context {
 public:
  upstream_tls(upstream_tls_files files, const key_digest& contents)
      : context{tls_client}, files_{std::move(files)}, contents_{contents} {}

  /// Returns the files that it was read from.
  const upstream_tls_files& files() const { return files_; }
  /// Whether the same files held the same bytes when both were read. (The system's authorities are not
  /// compared.)
  bool same_as(const upstream_tls& other) const {
    return files_ == other.files_ && contents_ == other.contents_;
  }

 private:
  upstream_tls_files files_;
  key_digest contents_;  // of all files
};

/// Reads the files and returns a context for TLS 1.2 and up. A peer's certificate must be signed by one of
/// the authorities; the host's name is checked per connection (tls_fault.hpp). Throws std::runtime_error,
/// which names the file that cannot be used.
std::shared_ptr<upstream_tls> make_upstream_tls(const upstream_tls_files& files);

/// Returns why the files of LITELLM_CA_FILE, LITELLM_CLIENT_CERT_FILE and LITELLM_CLIENT_KEY_FILE cannot be
/// used: a sentence per fault, beginning with the option's name. Empty if they can be used.
std::vector<std::string> check_upstream_tls(const upstream_tls_files& files);

/// Returns a sentence for each thing that LiteLLM will object to in our certificate at `now`
/// (certificate_check.hpp).
std::vector<std::string> upstream_tls_warnings(const upstream_tls_files& files, std::time_t now);

}  // namespace llm_proxy
