// Reads a certificate and its key from the PEM files that an operator names, and says what is wrong with
// them.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct certificate_pair {
  std::string_view certificate_option;  ///< the option's name, for messages about the file
  std::string certificate;              ///< our own certificate, then those between it and the root
  std::string_view key_option;
  std::string key;  ///< without a passphrase
};

/// Makes `context` show that certificate. Adds a sentence to `faults` for each thing that is wrong, beginning
/// with the option's name. If there is one, the context must not be used.
void load_certificate_pair(SSL_CTX& context, const certificate_pair& files, std::vector<std::string>& faults);

/// Returns "OPTION: FILE WHAT".
std::string file_sentence(std::string_view option, const std::string& file, const std::string& what);

/// Returns OpenSSL's words for the last error on this thread, and clears the thread's errors.
std::string openssl_reason();

/// Whether OpenSSL can be given that file. If not, adds a sentence to `faults` that tells the operator why:
/// the file does not exist, or is not a regular file.
bool is_readable_pem(std::string_view option, const std::string& file, std::vector<std::string>& faults);

}  // namespace llm_proxy
