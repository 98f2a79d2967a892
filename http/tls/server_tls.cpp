#include "http/tls/server_tls.hpp"

#include "http/tls/certificate_check.hpp"
#include "http/tls/certificate_pair.hpp"
#include "http/tls/tls_session.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <string_view>

namespace llm_proxy {

namespace {

constexpr std::string_view certificate_option = "LLM_PROXY__TLS_CERT_FILE";
constexpr std::string_view key_option = "LLM_PROXY__TLS_KEY_FILE";
constexpr std::string_view client_ca_option = "LLM_PROXY__TLS_CLIENT_CA_FILE";

/// Mozilla's "intermediate" list for TLS 1.2 (https://wiki.mozilla.org/Security/Server_Side_TLS,
/// version 5.7): forward secrecy and authenticated encryption, so no static RSA and no CBC. TLS 1.3 has only
/// such suites.
constexpr const char* tls_1_2_suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                    unsigned int offered_length, void*) {
  static constexpr std::string_view http_1_1 = "\x08http/1.1";
  const auto* ours = reinterpret_cast<const unsigned char*>(http_1_1.data());
  unsigned char* pick = nullptr;
  if (SSL_select_next_proto(&pick, length, ours, static_cast<unsigned>(http_1_1.size()), offered,
                            offered_length) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301 §3.2
  }
  *chosen = pick;
  return SSL_TLSEXT_ERR_OK;
}

/// Sets the group that the DHE suites of the list are meant for (RFC 7919). The group that OpenSSL would
/// choose grows with the certificate's key, and so would the work that a client's hello causes.
bool set_dhe_group(SSL_CTX& context) {
  EVP_PKEY* group = nullptr;
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> maker{
      EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr), EVP_PKEY_CTX_free};
  std::string name = "ffdhe2048";
  const std::array<OSSL_PARAM, 2> wanted{
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name.data(), 0),
      OSSL_PARAM_construct_end()};
  if (!maker || EVP_PKEY_paramgen_init(maker.get()) != 1 ||
      EVP_PKEY_CTX_set_params(maker.get(), wanted.data()) != 1 ||
      EVP_PKEY_generate(maker.get(), &group) != 1) {
    return false;
  }
  if (SSL_CTX_set0_tmp_dh_pkey(&context, group) == 1) return true;
  EVP_PKEY_free(group);
  return false;
}

/// Returns false if OpenSSL does not support one of the settings.
bool set_rules(SSL_CTX& context) {
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  if (SSL_CTX_set_cipher_list(&context, tls_1_2_suites) != 1 || !set_dhe_group(context)) return false;
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  tls_session::prepare(context);
  // Sessions are resumed by tickets: nothing is kept per client.
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  constexpr std::string_view id = "llm-proxy";
  SSL_CTX_set_session_id_context(&context, reinterpret_cast<const unsigned char*>(id.data()),
                                 static_cast<unsigned>(id.size()));
  SSL_CTX_set_alpn_select_cb(&context, choose_protocol, nullptr);
  return true;
}

void load_client_ca(SSL_CTX& context, const tls_files& files, std::vector<std::string>& faults) {
  if (files.client_ca.empty() || !is_readable_pem(client_ca_option, files.client_ca, faults)) return;
  auto* names = SSL_load_client_CA_file(files.client_ca.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(&context, files.client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    faults.push_back(
        file_sentence(client_ca_option, files.client_ca, "holds no PEM certificate: " + openssl_reason()));
    return;
  }
  SSL_CTX_set_client_CA_list(&context, names);
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

server_tls load_server_tls(const tls_files& files, std::vector<std::string>& faults) {
  const auto before = faults.size();
  if (files.certificate.empty()) {
    faults.push_back(std::string{certificate_option} + " is missing: " +
                     std::string{files.key.empty() ? client_ca_option : key_option} + " alone is no use");
  }
  if (files.key.empty()) {
    faults.push_back(std::string{key_option} + " is missing: " +
                     std::string{files.certificate.empty() ? client_ca_option : certificate_option} +
                     " alone is no use");
  }
  if (faults.size() > before) return nullptr;
  ERR_clear_error();
  server_tls context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  if (!context || !set_rules(*context)) {
    faults.push_back(std::string{certificate_option} + ": TLS cannot be set up: " + openssl_reason());
    return nullptr;
  }
  load_certificate_pair(*context, {certificate_option, files.certificate, key_option, files.key}, faults);
  load_client_ca(*context, files, faults);
  return faults.size() == before ? context : nullptr;
}

std::vector<std::string> server_tls_warnings(const tls_files& files, std::time_t now) {
  if (files.certificate.empty()) return {};
  return certificate_warnings(certificate_option, files.certificate, certificate_use::shown_to_clients, now);
}

}  // namespace llm_proxy
