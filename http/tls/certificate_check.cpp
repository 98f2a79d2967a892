#include "http/tls/certificate_check.hpp"

#include "http/system/regular_file.hpp"
#include "http/tls/certificate_pair.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

namespace llm_proxy {

namespace {

using bio_pointer = std::unique_ptr<BIO, decltype(&BIO_free)>;
using x509_pointer = std::unique_ptr<X509, decltype(&X509_free)>;

std::vector<x509_pointer> read_certificates(const std::string& file) {
  std::vector<x509_pointer> all;
  const auto read = read_regular_file(file, largest_pem_file);
  const bio_pointer pem{BIO_new_mem_buf(read.text.data(), static_cast<int>(read.text.size())), BIO_free};
  if (!read.fault.empty() || !pem) return all;
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  // The loop ends with OpenSSL's error that there are no more.
  while (auto* next = PEM_read_bio_X509(pem.get(), nullptr, no_passphrase, nullptr))
    all.emplace_back(next, X509_free);
  ERR_clear_error();
  return all;
}

/// Returns the name as RFC 4514 writes it; control characters and bytes over 0x7f are escaped.
std::string text_of(const X509_NAME* name) {
  const bio_pointer out{BIO_new(BIO_s_mem()), BIO_free};
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return "?";
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string text_of(const ASN1_TIME* time) {
  std::tm parts{};
  std::array<char, 32> text{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

std::string named(const X509& certificate) {
  return "the certificate " + text_of(X509_get_subject_name(&certificate));
}

/// Returns what is wrong with its dates; empty if nothing is.
std::string date_fault(const X509& certificate, std::time_t now) {
  const auto* end = X509_get0_notAfter(&certificate);
  const auto* begin = X509_get0_notBefore(&certificate);
  if (X509_cmp_time(end, &now) < 0) return "has expired (on " + text_of(end) + ")";
  if (X509_cmp_time(begin, &now) > 0) return "is not yet valid (before " + text_of(begin) + ")";
  return {};
}

bool has_issuer_here(X509& certificate) {
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store{X509_STORE_new(), X509_STORE_free};
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> search{X509_STORE_CTX_new(),
                                                                               X509_STORE_CTX_free};
  X509* issuer = nullptr;
  const bool found = store && search && X509_STORE_set_default_paths(store.get()) == 1 &&
                     X509_STORE_CTX_init(search.get(), store.get(), &certificate, nullptr) == 1 &&
                     X509_STORE_CTX_get1_issuer(&issuer, search.get(), &certificate) == 1;
  X509_free(issuer);
  ERR_clear_error();
  return found;
}

/// Returns why clients may refuse our own certificate, the first of `all`; empty if the chain is complete. A
/// chain counts as complete even if this machine does not know its root, because it is the clients that need
/// the root.
std::string chain_fault(const std::vector<x509_pointer>& all) {
  auto& own = *all.front();
  if (X509_self_signed(&own, 0) == 1) return "is self-signed: only clients that were given it accept it";
  const bool issuer_follows = std::any_of(all.begin() + 1, all.end(), [&](const x509_pointer& each) {
    return X509_check_issued(each.get(), &own) == X509_V_OK;
  });
  if (issuer_follows || has_issuer_here(own)) return {};
  return "stands without that of its issuer " + text_of(X509_get_issuer_name(&own)) +
         ": clients that do not have the issuer's refuse it (the chain belongs behind it)";
}

}  // namespace

std::vector<std::string> certificate_warnings(std::string_view option, const std::string& file,
                                              certificate_use use, std::time_t now) {
  std::vector<std::string> warnings;
  const auto all = read_certificates(file);
  const auto warn = [&](const X509& about, const std::string& what) {
    if (!what.empty()) warnings.push_back(file_sentence(option, file + ":", named(about) + " " + what));
  };
  for (const auto& each : all) warn(*each, date_fault(*each, now));
  if (use == certificate_use::shown_to_clients && !all.empty()) warn(*all.front(), chain_fault(all));
  return warnings;
}

}  // namespace llm_proxy
