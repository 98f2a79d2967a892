// Makes certificates for tests, with any issuer, any dates and any name.
#pragma once

#include "support/odd_files.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace llm_proxy::test {

struct certificate_terms {
  std::string name;              ///< the common name
  std::string host = {};         ///< the DNS name in its subjectAltName; empty if it names no host
  bool authority = false;        ///< whether it may sign other certificates
  std::chrono::hours from{-24};  ///< its validity, from now
  std::chrono::hours until{24 * 365};
};

/// A certificate and its private key, written to two files that exist as long as this object.
class test_certificate {
 public:
  /// The certificate is signed by `issuer`, or by itself if `issuer` is null.
  explicit test_certificate(const certificate_terms& terms, const test_certificate* issuer = nullptr)
      : key_{EVP_EC_gen("P-256"), EVP_PKEY_free}, x509_{X509_new(), X509_free} {
    const auto* signer = issuer != nullptr ? issuer : this;
    const auto seconds = [](std::chrono::hours time) {
      return static_cast<long>(std::chrono::seconds{time}.count());
    };
    X509_set_version(x509_.get(), 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(x509_.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x509_.get()), seconds(terms.from));
    X509_gmtime_adj(X509_getm_notAfter(x509_.get()), seconds(terms.until));
    X509_set_pubkey(x509_.get(), key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509_.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(terms.name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509_.get(), X509_get_subject_name(signer->x509_.get()));
    add(NID_basic_constraints, terms.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!terms.host.empty()) add(NID_subject_alt_name, "DNS:" + terms.host);
    if (X509_sign(x509_.get(), signer->key_.get(), EVP_sha256()) == 0) throw std::runtime_error{"X509_sign"};
    write(file(), [&](std::FILE* to) { return PEM_write_X509(to, x509_.get()); });
    write(key(), [&](std::FILE* to) {
      return PEM_write_PrivateKey(to, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

  std::string file() const { return folder_.path("cert.pem"); }
  std::string key() const { return folder_.path("key.pem"); }
  /// Writes a file that holds this certificate and then `others`, and returns its path.
  std::string chain(std::initializer_list<const test_certificate*> others) const {
    const auto path = folder_.path("chain.pem");
    write(path, [&](std::FILE* to) {
      int done = PEM_write_X509(to, x509_.get());
      for (const auto* each : others) done &= PEM_write_X509(to, each->x509_.get());
      return done;
    });
    return path;
  }

 private:
  void add(int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension{
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()), X509_EXTENSION_free};
    if (!extension || X509_add_ext(x509_.get(), extension.get(), -1) != 1)
      throw std::runtime_error{"X509_add_ext"};
  }
  template <class Put>
  static void write(const std::string& path, Put put) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> to{std::fopen(path.c_str(), "w"), std::fclose};
    if (!to || put(to.get()) != 1) throw std::runtime_error{"cannot write " + path};
  }

  file_folder folder_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> x509_;
};

}  // namespace llm_proxy::test
