#include "http/tls/tls_fault.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <new>

namespace llm_proxy {

namespace {

/// Returns the number (RFC 8446 §6) of the alert that the peer sent; 0 if it sent none.
int alert_of(const boost::system::error_code& ec) {
  if (ec.category() != boost::asio::error::get_ssl_category()) return 0;
  const int reason = ERR_GET_REASON(static_cast<unsigned>(ec.value()));
  return reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255 ? reason - SSL_AD_REASON_OFFSET
                                                                               : 0;
}

/// Returns a hint for the operator, if OpenSSL's words leave the cause open.
std::string hint_for(long verify_result) {
  switch (verify_result) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return " (the server does not send its whole chain, or its authority is not trusted here)";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return " (trusted only if the file of authorities holds it)";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return " (its root is not trusted here)";
    default:
      return {};
  }
}

}  // namespace

void require_host(SSL& tls, const std::string& host) {
  auto* rules = SSL_get0_param(&tls);
  boost::system::error_code not_an_ip;
  boost::asio::ip::make_address(host, not_an_ip);
  const int done = not_an_ip ? X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size())
                             : X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str());
  if (done != 1) throw std::bad_alloc{};
}

std::string explain_handshake(const SSL& tls, const std::string& host, const boost::system::error_code& ec) {
  if (ec == boost::asio::error::eof) return "the server closed the connection during the TLS handshake";
  if (ec.category() != boost::asio::error::get_ssl_category()) return ec.message();
  if (ERR_GET_REASON(static_cast<unsigned>(ec.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const auto result = SSL_get_verify_result(&tls);
    return "the certificate of " + host + " is not accepted: " + X509_verify_cert_error_string(result) +
           hint_for(result);
  }
  if (alert_of(ec) == 0) return ec.message();
  return "the server refuses the TLS handshake: " + ec.message() +
         (alert_of(ec) == TLS13_AD_CERTIFICATE_REQUIRED ? " (it demands a client certificate)" : "");
}

bool refuses_handshake(const boost::system::error_code& ec) {
  switch (alert_of(ec)) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

}  // namespace llm_proxy
