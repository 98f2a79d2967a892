#include "http/answer/error_words.hpp"

#include "http/answer/litellm_classes.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace llm_proxy {

namespace {

constexpr std::string_view context_code = "context_length_exceeded";
constexpr std::string_view budget_code = "budget_exceeded";

constexpr std::array words{
    // OpenAI: types and codes of the API (platform.openai.com/docs/guides/error-codes).
    error_word{"invalid_request_error", 400, false},
    error_word{"invalid_request", 400, false},
    error_word{"invalid_value", 400, false},
    error_word{"invalid_type", 400, false},
    error_word{"invalid_json_schema", 400, false},
    error_word{"missing_required_parameter", 400, false},
    error_word{"unknown_parameter", 400, false},
    error_word{"unsupported_parameter", 400, false},
    error_word{"unsupported_value", 400, false},
    error_word{"context_length_exceeded", 400, false},
    error_word{"string_above_max_length", 400, false},
    error_word{"array_above_max_length", 400, false},
    error_word{"integer_above_max_value", 400, false},
    error_word{"integer_below_min_value", 400, false},
    error_word{"content_filter", 400, false},
    error_word{"content_policy_violation", 400, false},
    error_word{"moderation_blocked", 400, false},
    error_word{"image_generation_user_error", 400, false},
    error_word{"billing_hard_limit_reached", 400, false},
    error_word{"billing_not_active", 429, false},
    error_word{"previous_response_not_found", 400, false},
    error_word{"unsupported_country_region_territory", 403, false},
    error_word{"authentication_error", 401, false},
    error_word{"invalid_authentication", 401, false},
    error_word{"invalid_api_key", 401, false},
    error_word{"incorrect_api_key", 401, false},
    error_word{"permission_error", 403, false},
    error_word{"insufficient_permissions", 403, false},
    error_word{"permission_denied_error", 403, false},
    error_word{"access_terminated", 403, false},
    error_word{"account_deactivated", 401, false},
    error_word{"not_found_error", 404, false},
    error_word{"not_found", 404, false},
    error_word{"model_not_found", 404, false},
    error_word{"conflict_error", 409, true},
    error_word{"unprocessable_entity_error", 422, false},
    error_word{"rate_limit_error", 429, true},
    error_word{"rate_limit_exceeded", 429, true},
    error_word{"rate_limit_reached", 429, true},
    error_word{"too_many_requests", 429, true},
    error_word{"requests", 429, true},
    error_word{"tokens", 429, true},
    error_word{"insufficient_quota", 429, false},
    error_word{"quota_exceeded", 429, false},
    error_word{"server_error", 500, true},
    error_word{"internal_error", 500, true},
    error_word{"engine_overloaded", 503, true},
    error_word{"server_overloaded", 503, true},
    error_word{"server_is_overloaded", 503, true},
    error_word{"slow_down", 503, true},
    error_word{"overloaded", 503, true},
    error_word{"service_unavailable", 503, true},
    error_word{"service_unavailable_error", 503, true},
    error_word{"timeout", 504, true},
    error_word{"request_timeout", 504, true},
    // OpenAI: codes of a response that failed (ResponseErrorCode of its API reference).
    error_word{"invalid_prompt", 400, false},
    error_word{"bio_policy", 400, false},
    error_word{"cyber_policy", 400, false},
    error_word{"vector_store_timeout", 504, true},
    error_word{"processing_error", 500, true},
    error_word{"invalid_image", 400, false},
    error_word{"invalid_image_format", 400, false},
    error_word{"invalid_base64_image", 400, false},
    error_word{"invalid_image_url", 400, false},
    error_word{"invalid_image_mode", 400, false},
    error_word{"image_too_large", 400, false},
    error_word{"image_too_small", 400, false},
    error_word{"image_parse_error", 400, false},
    error_word{"image_content_policy_violation", 400, false},
    error_word{"image_file_too_large", 400, false},
    error_word{"image_file_not_found", 400, false},
    error_word{"empty_image_file", 400, false},
    error_word{"unsupported_image_media_type", 400, false},
    error_word{"failed_to_download_image", 400, false},
    // Anthropic (docs.anthropic.com, "Errors"), without the words above that OpenAI also has.
    error_word{"billing_error", 402, false},
    error_word{"request_too_large", 413, false},
    error_word{"api_error", 500, true},
    error_word{"timeout_error", 504, true},
    error_word{"overloaded_error", 529, true},
    // LiteLLM: ProxyErrorTypes of litellm/proxy/_types.py, and the types that it gives its exceptions.
    error_word{"budget_exceeded", 429, false},
    error_word{"no_db_connection", 400, false},
    error_word{"db_not_connected", 400, false},
    error_word{"auth_error", 401, false},
    error_word{"expired_key", 401, false},
    error_word{"token_not_found_in_db", 401, false},
    error_word{"key_model_access_denied", 403, false},
    error_word{"team_model_access_denied", 403, false},
    error_word{"user_model_access_denied", 403, false},
    error_word{"org_model_access_denied", 403, false},
    error_word{"project_model_access_denied", 403, false},
    error_word{"key_vector_store_access_denied", 403, false},
    error_word{"team_vector_store_access_denied", 403, false},
    error_word{"org_vector_store_access_denied", 403, false},
    error_word{"team_member_permission_error", 403, false},
    error_word{"bad_request_error", 400, false},
    error_word{"validation_error", 400, false},
    error_word{"throttling_error", 429, true},
    error_word{"internal_server_error", 500, true},
    error_word{"cache_ping_error", 503, true},
    // Google: google.rpc.Code and the statuses that it maps to.
    error_word{"invalid_argument", 400, false},
    error_word{"failed_precondition", 400, false},
    error_word{"out_of_range", 400, false},
    error_word{"unauthenticated", 401, false},
    error_word{"permission_denied", 403, false},
    error_word{"already_exists", 409, false},
    error_word{"aborted", 409, true},
    error_word{"resource_exhausted", 429, true},
    error_word{"cancelled", 499, false},
    error_word{"unknown", 500, true},
    error_word{"internal", 500, true},
    error_word{"data_loss", 500, true},
    error_word{"unimplemented", 501, false},
    error_word{"unavailable", 503, true},
    error_word{"deadline_exceeded", 504, true},
    // AWS Bedrock ("Common errors" of its API reference).
    error_word{"validationexception", 400, false},
    error_word{"unrecognizedclientexception", 401, false},
    error_word{"accessdeniedexception", 403, false},
    error_word{"resourcenotfoundexception", 404, false},
    error_word{"throttlingexception", 429, true},
    error_word{"modelnotreadyexception", 429, true},
    error_word{"servicequotaexceededexception", 429, false},
    error_word{"internalserverexception", 500, true},
    error_word{"modelerrorexception", 500, true},
    error_word{"serviceunavailableexception", 503, true},
    error_word{"modeltimeoutexception", 504, true},
};

/// The meanings of parts of words, for words that are not in the table. The first row that matches counts.
constexpr std::array parts{
    error_word{"context_length_exceed", 400, false, context_code},
    error_word{"context_window_exceed", 400, false, context_code},
    error_word{"insufficient_quota", 429, false},
    error_word{"quota", 429, false},
    error_word{"insufficient_balance", 402, false},
    error_word{"insufficient_credit", 402, false},
    error_word{"insufficient_funds", 402, false},
    error_word{"payment_required", 402, false},
    error_word{"billing", 402, false},
    error_word{"rate_limit", 429, true},
    error_word{"ratelimit", 429, true},
    error_word{"too_many_requests", 429, true},
    error_word{"throttl", 429, true},
    error_word{"overload", 503, true},
    error_word{"unavailable", 503, true},
    error_word{"timeout", 504, true},
    error_word{"timed_out", 504, true},
    error_word{"api_key", 401, false},
    error_word{"authentication", 401, false},
    error_word{"unauthorized", 401, false},
    error_word{"access_denied", 403, false},
    error_word{"permission", 403, false},
    error_word{"forbidden", 403, false},
    error_word{"not_found", 404, false},
    error_word{"content_policy", 400, false},
    error_word{"content_filter", 400, false},
    error_word{"safety", 400, false},
    error_word{"too_large", 413, false},
    error_word{"too_long", 400, false},
    error_word{"bad_request", 400, false},
    error_word{"invalid", 400, false},
    error_word{"unsupported", 400, false},
    error_word{"missing", 400, false},
    error_word{"internal", 500, true},
    error_word{"server_error", 500, true},
};

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains_any_case(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<const char*, N>& parts_of_it) {
  return std::any_of(parts_of_it.begin(), parts_of_it.end(),
                     [&](const char* each) { return contains_any_case(text, each); });
}

/// Returns a word in the table's spelling; empty if it is too long to be a word.
std::string spelled(std::string_view word) {
  constexpr std::size_t longest = 64;
  if (word.empty() || word.size() > longest) return {};
  std::string out;
  for (const char c : word) out += c == '-' || c == ' ' ? '_' : lower(c);
  return out;
}

error_meaning from(const error_word& row) {
  return {row.status, row.retryable, true, row.code};
}

const error_word* find_row(std::string_view spelled_word) {
  const auto* row =
      std::find_if(words.begin(), words.end(), [&](const auto& each) { return each.word == spelled_word; });
  return row == words.end() ? nullptr : row;
}

/// Finds the most precise word of an error. In this order: its code, its type, Google's status, or its
/// message if that is just one of the table's words.
std::optional<error_word> word_of(const embedded_error& error) {
  for (const auto* each : {&error.code, &error.type, &error.status_name}) {
    if (auto word = find_error_word(*each)) return word;
  }
  if (const auto* row = find_row(spelled(error.message))) return *row;
  return std::nullopt;
}

/// Judges an error by a status number, then by words. `number` is 0 if there is no number.
error_meaning told_by(const embedded_error& error, unsigned number) {
  const auto word = word_of(error);
  if (number != 0) {
    // The number decides. The word counts only if it has the same status, because it is then more precise;
    // LiteLLM gives a 408 the type invalid_request_error.
    if (word && word->status == number) return from(*word);
    const bool passes = number == 408 || number == 409 || number == 429 || number >= 500;
    return {number, passes, false, {}};
  }
  if (word) return from(*word);
  if (const auto* row = litellm_class_in(error.message)) return {row->status, row->retryable, false, {}};
  return {};
}

error_meaning judged(const embedded_error& error, unsigned number) {
  if (is_over_budget(error)) return {429, false, true, budget_code};
  // LiteLLM turns a spent quota into a rate limit and quotes the provider's code in the message.
  constexpr std::string_view quota = "insufficient_quota";
  if ((number == 0 || number == 429) && contains_any_case(error.message, quota))
    return {429, false, true, {}};
  auto out = told_by(error, number);
  // Only a request can exceed a context window. So an error with a status of another kind, such as 401 or
  // 429, does not mean that.
  const bool may_be_length = number == 0 || number == 400 || number == 413 || number == 422 || number >= 500;
  if (may_be_length && out.status != 429 && exceeds_context_window(error))
    return {out.status == 413 || out.status == 422 ? out.status : 400, false, true, context_code};
  return out;
}

}  // namespace

std::span<const error_word> all_error_words() {
  return words;
}

std::optional<error_word> find_error_word(std::string_view word) {
  const auto wanted = spelled(word);
  if (wanted.empty()) return std::nullopt;
  if (const auto* row = find_row(wanted)) return *row;
  // The word may be a class name of LiteLLM, or of OpenAI's SDK, whose names vLLM uses as types.
  if (const auto* known = find_litellm_class(word)) {
    const bool context = known->name == "ContextWindowExceededError";
    return error_word{known->name, known->status, known->retryable,
                      context ? context_code : std::string_view{}};
  }
  for (const auto& row : parts) {
    if (wanted.find(row.word) != std::string::npos) return row;
  }
  return std::nullopt;
}

error_meaning meaning_of(const embedded_error& error) {
  return judged(error, static_cast<unsigned>(error.status));
}

error_meaning meaning_of(const embedded_error& error, unsigned status) {
  return judged(error, status);
}

bool is_over_budget(const embedded_error& error) {
  for (const auto* each : {&error.type, &error.code}) {
    const auto word = spelled(*each);
    if (word == budget_code || word == "budgetexceedederror") return true;
  }
  const std::string_view said = error.message;
  if (!contains_any_case(said, "budget")) return false;
  // These budgets are not meant: a model's tokens for thinking, and a proxy's retries.
  if (contains_any(said,
                   std::array{"budget_tokens", "thinking", "reasoning", "token budget", "retry budget"}))
    return false;
  return contains_any(said, std::array{"exceed", "crossed", "over budget", "over its budget", "spent",
                                       "exhausted", "depleted", "reached"});
}

bool provider_is_overloaded(const embedded_error& error) {
  for (const auto* each : {&error.type, &error.code}) {
    const auto word = spelled(*each);
    if (word == "slow_down" || word.find("overload") != std::string::npos) return true;
  }
  return false;
}

bool exceeds_context_window(const embedded_error& error) {
  if (spelled(error.code) == context_code || spelled(error.type) == context_code) return true;
  const std::string_view said = error.message;
  const bool told =
      contains_any(said, std::array{
                             "ContextWindowExceededError",  // LiteLLM
                             "context_length_exceeded",     // OpenAI, as a code inside a text
                             "maximum context length",      // OpenAI, vLLM, Mistral
                             "maximum prompt length",       // xAI
                             "prompt is too long",          // Anthropic
                             "exceed context limit",        // Anthropic: input length and `max_tokens`
                             "exceeds the maximum number of tokens allowed",  // Google
                             "input is too long for requested model",         // AWS Bedrock
                             "exceeds the available context size",            // llama.cpp
                         });
  if (told) return true;
  return contains_any(said, std::array{"context window", "context length"}) &&
         contains_any(said, std::array{"exceed", "too long", "too large", "larger than", "longer than"});
}

}  // namespace llm_proxy
