// OpenAI's list of models, and what LiteLLM adds to it. Only openai_models.cpp and keys_file_edit.cpp include
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
  std::int64_t context_length = 4096;  // tokens; by default the number that the original service gave
  bool is_available = true;
  std::string owned_by = "openai";
  std::int64_t created = 0;  // seconds since 1970
  // Optional facts that LiteLLM gives beyond OpenAI's members.
  std::string mode = {};  // such as chat or embedding
  std::optional<std::int64_t> max_input_tokens = {};
  std::optional<std::int64_t> max_output_tokens = {};
  std::string stands_for = {};  // if this is an alias: the id of its model
};

/// Reads an OpenAI model list and keeps its order; entries without an id are left out. Returns nullopt if the
/// text is not such a list.
std::optional<std::vector<model_entry>> read_models(std::string_view v1_models_json);

/// Adds facts from LiteLLM's `/model/info`, such as context length and provider. A member that is missing or
/// has the wrong type is ignored.
void enrich_models(std::vector<model_entry>& models, std::string_view model_info_json);

/// Returns the `/v1/llm/models` array.
std::string llm_models_body(const std::vector<model_entry>& models);
/// Returns OpenAI's `/v1/models` list.
std::string models_list_body(const std::vector<model_entry>& models);
/// Returns OpenAI's model object.
std::string model_body(const model_entry& model);

}  // namespace llm_proxy
