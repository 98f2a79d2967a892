#include "http/answer/litellm_message.hpp"

#include "http/answer/error_text.hpp"
#include "http/answer/litellm_classes.hpp"
#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

const std::string no_deployment = "The model gateway has no deployment available for this model.";

/// What LiteLLM's router adds to a message, by version and routing strategy.
const std::vector<std::string> additions{
    ". Received Model Group=g\nAvailable Model Group Fallbacks=None",
    "No fallback model group found for lookup_groups=g. Fallbacks=[{'g': ['inner']}]",
    "No fallback model group found for original model_group=g. Fallbacks=[{'g': ['inner']}]",
    ". Received Model Group=g\nAvailable Model Group Fallbacks=['inner']\nError doing the fallback: "
    "litellm.Timeout: x",
    "\nReceived Model Group=g",
    " Deployments={'inner': {'tpm': 1}}",
    ". Deployments={'inner': {'tpm': 1}}",
    " cooldown_list=['inner']",
    ". Passed model=inner. pre-call-checks=False, cooldown_list=[('inner', {'status': 429})]",
    ". Routing Strategy=inner, Retry Count=3",
    "No other pool is left for pool_name=inner.",
    "\nmodel=inner. context_window_fallbacks=None. fallbacks=[{'a': ['inner']}].\n\nSet "
    "'context_window_fallback'",
    "\r\nDeployment Info: request_timeout: None\ntimeout: 1.0",
};

}  // namespace

TEST_CASE("litellm message: what a provider says is kept up to LiteLLM's first addition",
          "[unit][litellm_message]") {
  for (const std::string said :
       {"litellm.RateLimitError: RateLimitError: OpenAIException - slow down",
        "litellm.NotFoundError: NotFoundError: OpenAIException - Error code: 404",
        "litellm.BadRequestError: VertexAIException BadRequestError - {\n  \"error\": {\n    \"message\": "
        "\"a b=[1]\"\n  }\n}",
        "litellm.APIError: no provider is named", "litellm.exceptions.InternalServerError: it broke"}) {
    CHECK(without_additions(said) == said);
    for (const auto& addition : additions) {
      INFO(said << addition);
      const auto kept = without_additions(said + addition);
      CHECK((kept == said || kept == said + "."));
    }
  }
}

TEST_CASE("litellm message: if it consists of additions only, the client gets the text of its class",
          "[unit][litellm_message]") {
  for (const auto& row : litellm_classes()) {
    for (const auto& addition : additions) {
      const auto message = "litellm." + std::string{row.name} + ": " + addition;
      INFO(message);
      CHECK(without_additions(message) == row.text);
    }
  }
  CHECK(without_additions("litellm.Unheard: Model Group=g") == "The model gateway reported an error.");
  CHECK(without_additions("litellm.Timeout: ") == "The model did not answer in time.");
  for (const std::string message :
       {"litellm.BadRequestError: You passed in model=inner. There are no healthy deployments for this model",
        "litellm.BadRequestError: You passed in model=inner. There are no healthy deployments for this "
        "modelNo fallback "
        "model group found for original model_group=inner. Fallbacks=[]",
        "Passed model=inner. No deployments available"}) {
    INFO(message);
    CHECK(without_additions(message) == no_deployment);
  }
}

TEST_CASE("litellm message: an error that names no provider is LiteLLM's, also without its prefix",
          "[unit][litellm_message]") {
  CHECK(without_additions(
            "No deployments available for selected model, Try again in 5 seconds. Passed model=inner. "
            "pre-call-checks=False, cooldown_list=['inner']") ==
        "No deployments available for selected model, Try again in 5 seconds.");
  CHECK(without_additions(
            "litellm.RateLimitError: No deployments available for selected model. Passed model=inner. "
            "Deployments={'inner': 1}") ==
        "litellm.RateLimitError: No deployments available for selected model.");
  CHECK(without_additions(
            "litellm.RateLimitError: Model rate limit exceeded. RPM limit=900, current usage=900") ==
        "litellm.RateLimitError: Model rate limit exceeded.");
  CHECK(without_additions("key not allowed to access model. This key can only access models=['inner']") ==
        "key not allowed to access model.");
}

TEST_CASE("litellm message: a budget's particulars never reach a client", "[unit][litellm_message]") {
  for (const std::string message :
       {"No deployments available - crossed budget: Exceeded budget for deployment model_name: inner, "
        "litellm_params.model: openai/inner, model_id: inner: 0.1 >= 1e-12",
        "litellm.RateLimitError: Exceeded budget for provider inner: 2 >= 1",
        "Exceeded budget for tag='inner', tag_spend=1",
        "ExceededBudget: User=inner over budget. Spend=1, Budget=0.5"}) {
    INFO(message);
    CHECK(without_additions(message) == "A budget of the model gateway is spent.");
  }
  CHECK(without_additions("Budget has been exceeded! Current cost: 1, Max budget: 0.5") ==
        "Budget has been exceeded! Current cost: 1, Max budget: 0.5");
}

TEST_CASE("litellm message: a message without LiteLLM's prefix is a provider's, and unchanged",
          "[unit][litellm_message]") {
  for (const std::string message :
       {"Invalid schema for response_format 'm': In context=('properties', 'a'), 'b' is not permitted.",
        "line one\nline two", "Bad Value=1, tools={'a'}, x=[1]", "  spaces  ", "a = b == c", "",
        "OpenAIException - you sent top_p=[1]\nand more"}) {
    INFO(message);
    CHECK(without_additions(message) == message);
  }
  const std::string schema =
      "litellm.BadRequestError: OpenAIException - Invalid schema for response_format 'm': In context=(), 'a' "
      "is required";
  CHECK(without_additions(schema) == schema);
  CHECK(without_additions(schema + ". Received Model Group=g") == schema + ".");
}

TEST_CASE("litellm message: unclosed brackets take no more than linear time", "[unit][litellm_message]") {
  const auto message = "litellm.APIError: OpenAIException - " + std::string(200'000, '{');
  CHECK(without_additions(message) == message);
  CHECK(without_internals("litellm.APIError: at http://10.0.0.7:8000/v1 x Model Group=g") ==
        "litellm.APIError: at [address] x");
}

}  // namespace llm_proxy
