#include "http/upstream_tls.hpp"

#include "http/regular_file.hpp"

#include <stdexcept>

namespace llm_proxy {

namespace {

namespace ssl = boost::asio::ssl;

/// Empty when `context` trusts what the file holds.
std::string load(ssl::context& context, const std::string& ca_file) {
  if (auto fault = check_regular_file(ca_file, largest_pem_file); !fault.empty()) return fault;
  boost::system::error_code unusable;
  context.load_verify_file(ca_file, unusable);
  return unusable ? "holds no certificate in PEM form" : "";
}

}  // namespace

std::shared_ptr<upstream_tls> make_upstream_tls(const std::string& ca_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  context->set_verify_mode(ssl::verify_peer);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  if (ca_file.empty()) {
    context->set_default_verify_paths();
  } else if (const auto fault = load(*context, ca_file); !fault.empty()) {
    throw std::runtime_error{"the file of certificate authorities " + ca_file + " " + fault};
  }
  return context;
}

std::string check_ca_file(const std::string& ca_file) {
  if (ca_file.empty()) return {};
  ssl::context context{ssl::context::tls_client};
  return load(context, ca_file);
}

}  // namespace llm_proxy
