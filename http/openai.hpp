// OpenAI's JSON: error objects, model lists, completions made up in mock mode. With keys_file_edit the only
// files that include RapidJSON.
#pragma once

#include "http/token_usage.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

// --- Errors

/// An upstream's error object.
struct embedded_error {
  bool present = false;     // there is one; an `error` that is null, false or "" is none
  int status = 0;           // 400-599 as a number, or digits, in it name it; 0: nothing does
  std::string type;         // empty: none ("None" is none)
  std::string code;         // its spelling; empty: none
  std::string status_name;  // Google's `status` in words; empty: none
  std::string message;      // as upstream wrote it: for logs, not for clients
};

/// Reads the error that a JSON object is or holds: the member `error` (an object, another `error` inside
/// that, or a text), the same in the `response` of a response.failed, an error event of OpenAI's Responses
/// API
/// (`{"type":"error","code":…,"message":…}`), vLLM's `{"object":"error",…}`.
embedded_error find_error(std::string_view json);

/// The data of an event that is an error by its name, as find_error() reads it: `{"error":…}` around a text,
/// JSON or not, and around a bare object with a `message` or a `code`; else as it is.
std::string as_error(std::string event_data);

/// The first element of a JSON array if that is an object, else `json` itself: Google sends its errors so.
std::string_view sole_object(std::string_view json);

/// Valid JSON whose top value is an object.
bool is_json_object(std::string_view json);

std::optional<token_usage> read_usage(std::string_view completion_json);

// --- Models

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
