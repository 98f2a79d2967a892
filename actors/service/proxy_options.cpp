#include "actors/service/proxy_options.hpp"

#include "actors/service/proxy.hpp"
#include "actors/service/proxy_tls.hpp"
#include "http/system/descriptor_limit.hpp"
#include "http/system/resident_memory.hpp"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <utility>

namespace llm_proxy {

namespace {

caller_header told_as(caller_to_litellm value) {
  switch (value) {
    case caller_to_litellm::end_user:
      return caller_header::end_user;
    case caller_to_litellm::tag:
      return caller_header::tag;
    case caller_to_litellm::off:
      break;
  }
  return caller_header::none;
}

}  // namespace

std::vector<litellm_options> make_upstreams(const settings& values,
                                            const std::shared_ptr<upstream_tls>& tls) {
  std::vector<litellm_options> all;
  if (values.llm_mode == llm_mode::mock) return all;
  for (const auto& url : values.litellm_proxy_url) {
    const auto address = parse_upstream_address(url);
    if (!address) throw std::runtime_error{"LLM_PROXY__LITELLM_PROXY_URL is not an http(s) address"};
    litellm_options options;
    options.address = *address;
    if (address->tls) options.tls = tls;
    options.api_key = values.litellm_api_key;
    options.forward_headers = values.forward_headers;
    options.connect_timeout = values.connect_timeout;
    all.push_back(std::move(options));
  }
  return all;
}

connection_timeouts client_timeouts(const settings& values) {
  return {values.client_head_timeout, values.client_body_timeout, values.client_write_timeout,
          values.keep_alive_timeout};
}

session_options make_session_options(const settings& values, std::span<const route> own_routes) {
  session_options options;
  options.version = values.version;
  options.ui = values.ui;
  options.upstream_key = values.litellm_api_key;
  options.max_body_bytes = values.max_body_bytes;
  options.websockets = values.websockets;
  options.websocket_memory = values.websocket_memory;
  options.websocket_lifetime = values.websocket_lifetime;
  options.client_write_timeout = values.client_write_timeout;
  options.limits_all = values.max_concurrent_requests > 0;
  options.passthrough_paths = values.passthrough_paths;
  options.cors_origins = values.cors_origins;
  options.own_routes = own_routes;
  options.told_as = told_as(values.caller_to_litellm);
  options.wording = values.error_style == error_style::raw ? error_wording::raw : error_wording::normalized;
  options.account_usage = values.account_usage;
  options.first_byte_timeout = values.first_byte_timeout;
  options.stream_commit_after = values.stream_commit_after;
  options.idle_timeout = values.idle_timeout;
  options.request_timeout = values.request_timeout;
  options.retries = static_cast<unsigned>(values.retries);
  options.metrics_public = values.metrics_public;
  options.stream_timing = values.stream_timing;
  if (default_key_counts(values)) options.local_host = values.host;
  return options;
}

std::size_t connection_limit(const settings& values) {
  if (values.max_connections > 0) return values.max_connections;
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return 1;
  return connections_within(descriptors.rlim_cur, values.thread_count());
}

std::shared_ptr<const model_names> make_names(const settings& values) {
  auto names = std::make_shared<model_names>();
  names->default_model = values.default_model;
  for (const auto& [name, model] : values.model_aliases) names->aliases.emplace_back(name, model);
  return names;
}

admission_options make_limits(const settings& values) {
  return {values.max_concurrent_requests, values.queue_size, values.queue_timeout};
}

std::shared_ptr<memory_ceiling> make_ceiling(const settings& values) {
  if (values.max_memory == 0) return nullptr;
  if (!resident_bytes()) {
    const auto why = std::generic_category().message(errno);
    throw std::runtime_error{"LLM_PROXY__MAX_MEMORY can have no effect: /proc/self/statm cannot be read: " +
                             why};
  }
  return std::make_shared<memory_ceiling>(values.max_memory);
}

bool same_pools(const settings& a, const settings& b) {
  return a.litellm_proxy_url == b.litellm_proxy_url && a.litellm_api_key == b.litellm_api_key &&
         litellm_tls(a) == litellm_tls(b) && a.forward_headers == b.forward_headers &&
         a.connect_timeout == b.connect_timeout && a.adapter_pool_size == b.adapter_pool_size &&
         a.adapter_max_concurrent == b.adapter_max_concurrent &&
         a.mock_chunk_delay_ms == b.mock_chunk_delay_ms;
}

}  // namespace llm_proxy
