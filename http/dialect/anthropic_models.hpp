// The list of models in Anthropic's shape (docs.anthropic.com, "List Models"). LiteLLM sends it when a
// request has the header `anthropic-version`.
#pragma once

#include "http/dialect/openai_models.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llm_proxy {

/// An entry of the list. `json` is the whole entry, with everything that LiteLLM says about the model.
struct anthropic_model {
  std::string id;
  std::string json;
  std::string stands_for = {};  ///< if this is an alias: the id of the model that it stands for
};

/// Reads such a list and keeps its order; entries without an id are left out. Returns nullopt if `json` does
/// not have that shape.
std::optional<std::vector<anthropic_model>> read_anthropic_models(std::string_view json);

/// Returns the entry of a model that is known only from OpenAI's list.
anthropic_model make_anthropic_model(const model_entry& model);

/// The same for the list that Claude Code gets: the entry's id is claude_code_id(), and `source_model` is the
/// model's own id.
anthropic_model make_claude_code_model(const model_entry& model);

/// Why a page cannot be given: a sentence about the invalid query parameter, and its name.
struct page_fault {
  std::string message;
  std::string param;
};
/// Returns the page that the query of `target` asks for with `limit` (1 to 1,000; all entries without it),
/// `after_id` and `before_id`.
std::variant<std::string, page_fault> anthropic_list_body(const std::vector<anthropic_model>& models,
                                                          std::string_view target);

}  // namespace llm_proxy
