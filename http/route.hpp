// The one table of what is served: method and path to endpoint.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

enum class endpoint : std::uint8_t {
  none,              ///< no such path
  wrong_method,      ///< the path exists, the method does not
  health,            ///< GET /health
  models,            ///< GET /v1/models
  model,             ///< GET /v1/models/{id}
  llm_models,        ///< GET /v1/llm/models, the original service's list
  chat_completions,  ///< POST /v1/chat/completions
};

struct route_match {
  endpoint target = endpoint::none;
  std::string_view allow;  ///< for wrong_method: the Allow header (RFC 9110 §10.2.1)
  std::string parameter;   ///< for model: the id, percent-decoded
};

/// Finds the endpoint of a request. `path` has no query.
route_match find_route(std::string_view method, std::string_view path);

/// True for paths that are answered without a key.
bool is_public_path(std::string_view path);

}  // namespace llm_proxy
