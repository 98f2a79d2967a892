// Which models a key with a list of models may ask for. LiteLLM can be told of models in more places than
// `model`: a key with such a list must not reach another model by any of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Whether `patterns` (exact names, or beginnings with a `*` behind) allow `model`. A comma in it makes
/// several of it, as LiteLLM reads it: all must be allowed. Of an id that stands for another model it is that
/// model which counts.
bool allows_model(const std::vector<std::string>& patterns, std::string_view model);

/// Whether the query of a target names a model, as an Azure client's does: LiteLLM takes it before the
/// body's.
bool has_model_in_query(std::string_view target);

/// `name` again, for as long as the program runs, if it is a member of a body by which LiteLLM could use
/// another model than the body's `model`. Returns an empty view for any other member.
std::string_view member_bringing_models(std::string_view name);

}  // namespace llm_proxy
