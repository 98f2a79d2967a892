// A certificate and its key, as an operator names them: read from PEM files, with words for what is wrong.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct certificate_pair {
  std::string_view certificate_option;  ///< its name, for what is said of the file
  std::string certificate;              ///< our own certificate, then those between it and the root
  std::string_view key_option;
  std::string key;  ///< without a passphrase
};

/// Makes `context` show that certificate. `faults` gets a sentence for each thing that is wrong, beginning
/// with the option's name: then the context is of no use.
void load_certificate_pair(SSL_CTX& context, const certificate_pair& files, std::vector<std::string>& faults);

/// "OPTION: FILE WHAT".
std::string file_sentence(std::string_view option, const std::string& file, const std::string& what);

/// OpenSSL's words for what failed last on this thread, which is forgotten with that.
std::string openssl_reason();

/// Whether OpenSSL can be given that file. If not, `faults` gets the operator's words for it: it is not
/// there, or it is no file.
bool is_readable_pem(std::string_view option, const std::string& file, std::vector<std::string>& faults);

}  // namespace llm_proxy
