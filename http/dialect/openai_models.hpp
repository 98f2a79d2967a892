// OpenAI's list of models, and what LiteLLM adds to it. With keys_file_edit the only files that include
// RapidJSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

struct model_entry {
  std::string id;
  std::string name;
  std::string provider = "LiteLLM";
  std::int64_t context_length = 4096;  // tokens; the original service's number where upstream names none
  bool is_available = true;
  std::string owned_by = "openai";
  std::int64_t created = 0;  // seconds since 1970
  // What LiteLLM says beyond OpenAI's members, where it does.
  std::string mode = {};  // such as chat or embedding
  std::optional<std::int64_t> max_input_tokens = {};
  std::optional<std::int64_t> max_output_tokens = {};
  std::string stands_for = {};  // of an alias: the model's id
};

/// Reads an OpenAI model list, in its order; entries without an id are left out. nullopt: not such a list.
std::optional<std::vector<model_entry>> read_models(std::string_view v1_models_json);

/// Adds context length and provider from LiteLLM's `/model/info`; whatever is missing or of the wrong type
/// adds nothing.
void enrich_models(std::vector<model_entry>& models, std::string_view model_info_json);

/// The `/v1/llm/models` array.
std::string llm_models_body(const std::vector<model_entry>& models);
/// OpenAI's `/v1/models` list.
std::string models_list_body(const std::vector<model_entry>& models);
/// OpenAI's model object.
std::string model_body(const model_entry& model);

}  // namespace llm_proxy
