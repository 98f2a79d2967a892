// Which models a key with a list of models may ask for. LiteLLM can be told of models in more places than
// `model`: a key with such a list must not reach another model by any of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Whether `patterns` (exact names, or beginnings with a `*` behind) allow `model`. A comma in it makes
/// several of it, as LiteLLM reads it: all must be allowed.
bool allows_model(const std::vector<std::string>& patterns, std::string_view model);

/// The query parameter (of a target with its query) or the body's member by which LiteLLM could use another
/// model than the body's `model`. Empty: there is none.
std::string_view model_beside(std::string_view target, std::string_view body);

}  // namespace llm_proxy
