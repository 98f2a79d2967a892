#include "http/tls/certificate_pair.hpp"

#include "http/system/regular_file.hpp"

#include <openssl/err.h>

namespace llm_proxy {

std::string file_sentence(std::string_view option, const std::string& file, const std::string& what) {
  return std::string{option} + ": " + file + " " + what;
}

std::string openssl_reason() {
  const auto code = ERR_peek_last_error();
  const char* words = ERR_reason_error_string(code);
  ERR_clear_error();
  return words != nullptr ? words : "unknown error";
}

bool is_readable_pem(std::string_view option, const std::string& file, std::vector<std::string>& faults) {
  const auto fault = check_regular_file(file, largest_pem_file);
  if (fault.empty()) return true;
  faults.push_back(file_sentence(option, file, fault));
  return false;
}

void load_certificate_pair(SSL_CTX& context, const certificate_pair& files,
                           std::vector<std::string>& faults) {
  // A key with a passphrase is an error, not a question on the terminal.
  SSL_CTX_set_default_passwd_cb(&context, [](char*, int, int, void*) { return 0; });
  const bool certificate_there = is_readable_pem(files.certificate_option, files.certificate, faults);
  const bool key_there = is_readable_pem(files.key_option, files.key, faults);
  bool usable = certificate_there && key_there;
  if (certificate_there && SSL_CTX_use_certificate_chain_file(&context, files.certificate.c_str()) != 1) {
    faults.push_back(file_sentence(files.certificate_option, files.certificate,
                                   "is no PEM certificate: " + openssl_reason()));
    usable = false;
  }
  if (!key_there) return;
  if (SSL_CTX_use_PrivateKey_file(&context, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const auto code = ERR_peek_last_error();
    const bool mismatch = ERR_GET_LIB(code) == ERR_LIB_X509;  // set_private_key compares with the certificate
    const auto why = openssl_reason();
    faults.push_back(file_sentence(files.key_option, files.key,
                                   mismatch ? "does not belong to the certificate: " + why
                                            : "is no PEM key without a passphrase: " + why));
  } else if (usable && SSL_CTX_check_private_key(&context) != 1) {
    faults.push_back(file_sentence(files.key_option, files.key,
                                   "does not belong to the certificate: " + openssl_reason()));
  }
}

}  // namespace llm_proxy
