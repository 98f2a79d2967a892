// What model names stand for, and which models there are.
#pragma once

#include "http/dialect/anthropic_models.hpp"
#include "http/dialect/openai_models.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Which id does upstream know this name by?
struct resolve_model {
  std::string name;  ///< empty: the default model
  bool wants_provider = false;
};
struct resolved_model {
  std::string id;
  std::string provider = {};  ///< as upstream's list names it, where that was asked for and is known
};
/// What names stand for.
struct model_names {
  std::string default_model;                                 ///< for the empty name
  std::vector<std::pair<std::string, std::string>> aliases;  ///< a name and the id it stands for
};
/// From now on they stand for these.
struct names_changed {
  std::shared_ptr<const model_names> names;
};
using model_list = std::shared_ptr<const std::vector<model_entry>>;
using anthropic_list = std::shared_ptr<const std::vector<anthropic_model>>;
/// Asks for the lists of models.
struct get_models {};
struct models {
  model_list list;
  anthropic_list anthropic = nullptr;    ///< in Anthropic's shape; null where upstream has none of its own
  anthropic_list claude_code = nullptr;  ///< what Claude Code gets instead; null as above
  /// Something beside `list` could not be fetched this time, though it may exist: what was known of it before
  /// still counts.
  bool incomplete = false;
};
/// Newer lists, from the registry that fetched them to the others.
struct models_changed {
  models lists;
};
/// Time to fetch again.
struct refresh_due {};

}  // namespace llm_proxy
