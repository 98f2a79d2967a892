// Makes the answers to requests for model lists: in the shape that fits the request, and only with the models
// that the key may use.
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

/// Returns whether a client that requests `target` gets Anthropic's shape: the request is for models, and its
/// header `anthropic-version` says that the client speaks Anthropic's API.
bool asks_in_anthropic_shape(endpoint target, const request_head& head);

/// A request for a list of models, or for one model.
struct model_list_request {
  endpoint target;          ///< models, model or llm_models
  std::string_view detail;  ///< the id, if the target is `model`
  const request_head& head;
  const std::vector<std::string>& allowed;  ///< the key's patterns; empty if it may use every model
};

/// Returns the JSON body of the answer. `llm_models` has the original service's shape. The other targets have
/// OpenAI's shape, or Anthropic's if the request has the header `anthropic-version`; if that request comes
/// from Claude Code, it gets LiteLLM's list for Claude Code. For a key with patterns, models that it may not
/// use do not exist. Fails with model_not_found, or with bad_request if a page of Anthropic's list is asked
/// for by invalid parameters.
std::variant<std::string, failure> model_list_body(const models& known, const model_list_request& asked);

}  // namespace llm_proxy
