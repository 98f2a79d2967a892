// Which models a key with a list of models may ask for. LiteLLM accepts model names in more places than
// `model`, and a key with such a list must not reach another model through any of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Whether `patterns` (exact names, or prefixes followed by `*`) allow `model`. LiteLLM reads a name with
/// commas as several names, so all of them must be allowed. If an id stands for another model, that other
/// model must be allowed.
bool allows_model(const std::vector<std::string>& patterns, std::string_view model);

/// Returns the name of the parameter by which the query of a target names models, as a view that stays valid;
/// empty if there is none. Azure's clients send `model`, and LiteLLM prefers it to the model in the body. It
/// lists the files and batches of `target_model_names`.
std::string_view model_in_query(std::string_view target);

/// Returns `name`, as a view that stays valid, if it is a member of a body through which LiteLLM could use a
/// model other than the body's `model`. Returns an empty view for any other member.
std::string_view member_bringing_models(std::string_view name);

}  // namespace llm_proxy
