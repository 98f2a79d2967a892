#include "http/answer/litellm_classes.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace llm_proxy {

namespace {

// clang-format off
constexpr std::array classes{
    litellm_class{"BadRequestError", blame::client, 400, false, "The model gateway refused the request as invalid."},
    litellm_class{"InvalidRequestError", blame::client, 400, false, "The model gateway refused the request as invalid."},
    litellm_class{"UnsupportedParamsError", blame::client, 400, false, "The model does not support a parameter of the request."},
    litellm_class{"ContextWindowExceededError", blame::client, 400, false, "The request is longer than the model's context window."},
    litellm_class{"ContentPolicyViolationError", blame::client, 400, false, "The request violates a content policy."},
    litellm_class{"RejectedRequestError", blame::client, 400, false, "The model gateway rejected the request."},
    litellm_class{"ImageFetchError", blame::client, 400, false, "An image of the request could not be fetched."},
    litellm_class{"GuardrailRaisedException", blame::client, 400, false, "A guardrail of the model gateway rejected the request."},
    litellm_class{"BlockedPiiEntityError", blame::client, 400, false, "A guardrail of the model gateway rejected the request."},
    litellm_class{"UnprocessableEntityError", blame::client, 422, false, "The model gateway cannot process the request."},
    litellm_class{"NotFoundError", blame::client, 404, false, "The model gateway found no such model or object."},
    litellm_class{"JSONSchemaValidationError", blame::provider, 500, true, "The model's answer does not fit the requested schema."},
    litellm_class{"APIResponseValidationError", blame::provider, 500, true, "The model's answer could not be read."},
    litellm_class{"AuthenticationError", blame::litellm, 401, false, "A key of the model gateway was refused."},
    litellm_class{"PermissionDeniedError", blame::litellm, 403, false, "The model gateway may not use this model."},
    litellm_class{"BudgetExceededError", blame::litellm, 429, false, "A budget of the model gateway is spent."},
    litellm_class{"RateLimitError", blame::litellm, 429, true, "The model gateway is at a rate limit."},
    litellm_class{"RouterRateLimitError", blame::litellm, 429, true, "The model gateway has no deployment available for this model."},
    litellm_class{"Timeout", blame::litellm, 408, true, "The model did not answer in time."},
    litellm_class{"InternalServerError", blame::litellm, 500, true, "The model gateway failed."},
    litellm_class{"APIConnectionError", blame::litellm, 500, true, "The model gateway could not reach the model."},
    litellm_class{"APIError", blame::litellm, 500, true, "The model gateway failed."},
    litellm_class{"BadGatewayError", blame::litellm, 502, true, "The model gateway could not reach the model."},
    litellm_class{"ServiceUnavailableError", blame::litellm, 503, true, "The model is not available at the moment."},
    litellm_class{"MidStreamFallbackError", blame::litellm, 503, true, "The model failed in the middle of its answer."},
};
// clang-format on

}  // namespace

std::string_view to_string(blame source) {
  constexpr std::array<std::string_view, 4> names{"client", "proxy", "litellm", "provider"};
  return names[static_cast<std::size_t>(source)];
}

std::span<const litellm_class> litellm_classes() {
  return classes;
}

const litellm_class* find_litellm_class(std::string_view name) {
  const auto* row =
      std::find_if(classes.begin(), classes.end(), [&](const auto& each) { return each.name == name; });
  return row == classes.end() ? nullptr : row;
}

const litellm_class* litellm_class_in(std::string_view message) {
  constexpr std::string_view prefix = "litellm.";
  const auto at = message.find(prefix);
  if (at == std::string_view::npos) return nullptr;
  auto rest = message.substr(at + prefix.size());
  // Messages may have Python's full names: litellm.exceptions.Timeout,
  // litellm.types.router.RouterRateLimitError.
  for (const std::string_view module : {"exceptions.", "types.router."}) {
    if (rest.starts_with(module)) rest.remove_prefix(module.size());
  }
  return find_litellm_class(rest.substr(0, rest.find_first_of(":. (")));
}

bool names_provider(std::string_view message) {
  const auto at = message.find("Exception - ");
  return at != std::string_view::npos && at > 0 &&
         std::isalpha(static_cast<unsigned char>(message[at - 1])) != 0;
}

}  // namespace llm_proxy
