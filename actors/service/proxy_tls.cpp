// The TLS of https upstreams: what the settings name, and its renewal while the service runs.
#include "actors/service/proxy.hpp"
#include "http/upstream/upstream_address.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace llm_proxy {

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
  const bool ours = tls && upstream_tls_ && tls->files() == upstream_tls_->files();
  if (!ours || tls->same_as(*upstream_tls_)) return;
  reconfigure(settings{values_}, std::move(tls));
  spdlog::info("TLS files for LiteLLM read again");
}

}  // namespace llm_proxy
