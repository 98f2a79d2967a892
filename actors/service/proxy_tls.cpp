#include "actors/service/proxy_tls.hpp"

#include "actors/service/proxy.hpp"
#include "actors/service/service_parts.hpp"
#include "http/upstream/upstream_address.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace llm_proxy {

tls_files listener_tls(const settings& values) {
  return {values.tls_cert_file, values.tls_key_file, values.tls_client_ca_file};
}

upstream_tls_files litellm_tls(const settings& values) {
  return {values.litellm_ca_file, values.litellm_client_cert_file, values.litellm_client_key_file};
}

bool has_https(const std::vector<std::string>& urls) {
  return std::any_of(urls.begin(), urls.end(), [](const std::string& url) {
    const auto address = parse_upstream_address(url);
    return address && address->tls;
  });
}

std::shared_ptr<upstream_tls> read_litellm_tls(const settings& values) {
  const bool needed = values.llm_mode == llm_mode::litellm && has_https(values.litellm_proxy_url);
  return needed ? make_upstream_tls(litellm_tls(values)) : nullptr;
}

void proxy::use_upstream_tls(std::shared_ptr<upstream_tls> tls) {
  const auto& in_use = parts_->litellm_certificates;
  const bool ours = tls && in_use && tls->files() == in_use->files();
  if (!ours || tls->same_as(*in_use)) return;
  reconfigure(settings{parts_->values}, std::move(tls));
  spdlog::info("TLS files for LiteLLM read again");
}

}  // namespace llm_proxy
