// What model names stand for, and which models there are.
#pragma once

#include "http/dialect/anthropic_models.hpp"
#include "http/dialect/openai_models.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Asks for the id by which upstream knows this name.
struct resolve_model {
  std::string name;  ///< empty: the default model
  bool wants_provider = false;
};
struct resolved_model {
  std::string id;
  std::string provider = {};  ///< as upstream's list names it; empty if not asked for or not known
};
/// What names stand for.
struct model_names {
  std::string default_model;  ///< for the empty name
  /// A name, in which one * may stand for any characters, and the id that it stands for.
  std::vector<std::pair<std::string, std::string>> aliases;
};
/// From now on names stand for these ids.
struct names_changed {
  std::shared_ptr<const model_names> names;
};
using model_list = std::shared_ptr<const std::vector<model_entry>>;
using anthropic_list = std::shared_ptr<const std::vector<anthropic_model>>;
/// Asks for the lists of models.
struct get_models {};
struct models {
  model_list list;
  anthropic_list anthropic = nullptr;    ///< in Anthropic's shape; null if upstream has no such list
  anthropic_list claude_code = nullptr;  ///< what Claude Code gets instead; null as above
  /// Another list than `list` could not be fetched this time, although it may exist. Its last known content
  /// stays valid.
  bool incomplete = false;
};
/// Newer lists. The registry that fetched them sends them to the others.
struct models_changed {
  models lists;
};
/// It is time to fetch the lists again.
struct refresh_due {};

}  // namespace llm_proxy
