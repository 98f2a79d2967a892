// The list of models in Anthropic's shape (docs.anthropic.com, "List Models"), which LiteLLM answers to
// requests with an `anthropic-version`.
#pragma once

#include "http/dialect/openai_models.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llm_proxy {

/// An entry, with all that LiteLLM says of the model.
struct anthropic_model {
  std::string id;
  std::string json;
  std::string stands_for = {};  ///< of an alias: the id of the model that it stands for
};

/// Reads such a list, in its order; entries without an id are left out. nullopt: it is not of that shape.
std::optional<std::vector<anthropic_model>> read_anthropic_models(std::string_view json);

/// The entry of a model of which OpenAI's list is all that is known.
anthropic_model make_anthropic_model(const model_entry& model);

/// The same for the list that Claude Code gets: under claude_code_id(), with the model's own id as
/// `source_model`.
anthropic_model make_claude_code_model(const model_entry& model);

/// The page that the query of `target` asks for by `limit` (1 to 1,000; without it all), `after_id` and
/// `before_id`; or a sentence about the parameter that is wrong, and its name.
struct page_fault {
  std::string message;
  std::string param;
};
std::variant<std::string, page_fault> anthropic_list_body(const std::vector<anthropic_model>& models,
                                                          std::string_view target);

}  // namespace llm_proxy
