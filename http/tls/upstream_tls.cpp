#include "http/tls/upstream_tls.hpp"

#include "http/system/regular_file.hpp"
#include "http/tls/certificate_check.hpp"
#include "http/tls/certificate_pair.hpp"
#include "http/tls/tls_session.hpp"

#include <stdexcept>

namespace llm_proxy {

namespace {

namespace ssl = boost::asio::ssl;

constexpr std::string_view authorities_option = "LLM_PROXY__LITELLM_CA_FILE";
constexpr std::string_view certificate_option = "LLM_PROXY__LITELLM_CLIENT_CERT_FILE";
constexpr std::string_view key_option = "LLM_PROXY__LITELLM_CLIENT_KEY_FILE";

/// Makes `context` trust the authorities in the file. Returns what is wrong with the file; empty if nothing
/// is.
std::string load_authorities(ssl::context& context, const std::string& file) {
  if (auto fault = check_regular_file(file, largest_pem_file); !fault.empty()) return fault;
  boost::system::error_code unusable;
  context.load_verify_file(file, unusable);
  return unusable ? "holds no certificate in PEM form" : "";
}

/// Makes `context` show our certificate, if there is one.
void load_own_certificate(ssl::context& context, const upstream_tls_files& files,
                          std::vector<std::string>& faults) {
  if (files.certificate.empty() && files.key.empty()) return;
  const auto alone = [&](std::string_view missing, std::string_view there) {
    faults.push_back(std::string{missing} + " is missing: " + std::string{there} + " alone is no use");
  };
  if (files.certificate.empty()) {
    alone(certificate_option, key_option);
  } else if (files.key.empty()) {
    alone(key_option, certificate_option);
  } else {
    load_certificate_pair(*context.native_handle(),
                          {certificate_option, files.certificate, key_option, files.key}, faults);
  }
}

key_digest contents_of(const upstream_tls_files& files) {
  std::string all;
  for (const auto* file : {&files.authorities, &files.certificate, &files.key}) {
    if (file->empty()) continue;
    const auto text = read_regular_file(*file, largest_pem_file).text;
    all.append(std::to_string(text.size())).append(" ").append(text);
  }
  return digest_of(all);
}

}  // namespace

std::shared_ptr<upstream_tls> make_upstream_tls(const upstream_tls_files& files) {
  // The digest is made before the files are loaded. If a file changes in between, the next reading then
  // counts as different, not as the same.
  const auto contents = contents_of(files);
  auto context = std::make_shared<upstream_tls>(files, contents);
  context->set_verify_mode(ssl::verify_peer);
  tls_session::prepare(*context->native_handle());
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  if (files.authorities.empty()) {
    context->set_default_verify_paths();
  } else if (const auto fault = load_authorities(*context, files.authorities); !fault.empty()) {
    throw std::runtime_error{"the file of certificate authorities " + files.authorities + " " + fault};
  }
  std::vector<std::string> faults;
  load_own_certificate(*context, files, faults);
  if (!faults.empty()) throw std::runtime_error{faults.front()};
  return context;
}

std::vector<std::string> check_upstream_tls(const upstream_tls_files& files) {
  std::vector<std::string> faults;
  ssl::context context{ssl::context::tls_client};
  if (!files.authorities.empty()) {
    if (const auto fault = load_authorities(context, files.authorities); !fault.empty())
      faults.push_back(std::string{authorities_option} + ": \"" + files.authorities + "\" " + fault);
  }
  load_own_certificate(context, files, faults);
  return faults;
}

std::vector<std::string> upstream_tls_warnings(const upstream_tls_files& files, std::time_t now) {
  if (files.certificate.empty()) return {};
  return certificate_warnings(certificate_option, files.certificate, certificate_use::shown_to_litellm, now);
}

}  // namespace llm_proxy
