// What clients get of the model lists: the shape that fits their request, and of it what their key may use.
#pragma once

#include "actors/messages/model_messages.hpp"
#include "http/request/route.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llm_proxy {

/// Whether a request that a client makes of `target` gets Anthropic's shape: it asks for models, and its
/// header `anthropic-version` says that the client speaks Anthropic's API.
bool asks_in_anthropic_shape(endpoint target, const request_head& head);

/// A request for a list of models, or for one model.
struct model_list_request {
  endpoint target;          ///< models, model or llm_models
  std::string_view detail;  ///< of `model`: its id
  const request_head& head;
  const std::vector<std::string>& allowed;  ///< the key's patterns; empty: every model
};

/// The JSON body of the answer: OpenAI's shape; Anthropic's for a request with `anthropic-version`, and then
/// LiteLLM's list for Claude Code if the request comes from there; the original service's for `llm_models`. A
/// key with patterns sees what it may use, and nothing else exists for it. Fails with model_not_found, or
/// with bad_request for a wrong page of Anthropic's list.
std::variant<std::string, failure> model_list_body(const models& known, const model_list_request& asked);

}  // namespace llm_proxy
