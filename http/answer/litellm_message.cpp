#include "http/answer/litellm_message.hpp"

#include "http/answer/error_words.hpp"
#include "http/answer/litellm_classes.hpp"
#include "http/text/text.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace llm_proxy {

namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_word(char c) {
  return is_upper(c) || is_lower(c) || is_digit(c) || c == '_';
}

/// Whether `c` may occur in a name before an equals sign: `pre-call-checks`, `litellm_params.model`.
bool is_key(char c) {
  return is_word(c) || c == '-' || c == '.';
}

/// Beginnings of sentences that LiteLLM appends and that have no other mark.
constexpr std::array<std::string_view, 11> sentences{
    "Received Model Group=",
    "Available Model Group Fallbacks=",
    "No fallback model group found",
    "Error doing the fallback",
    "Deployment Info:",
    "LiteLLM Retried:",
    "LiteLLM Max Retries:",
    "Set 'context_window_fallback'",
    "Traceback (most recent call last)",
    "stack trace:",
    "litellm_params",
};

/// Whether a message has words that LiteLLM uses about its router and keys, and that providers hardly use.
bool speaks_of_routing(std::string_view message) {
  constexpr std::array<std::string_view, 9> words{"eployment",  "allback",       "model_group",
                                                  "odel Group", "lookup_groups", "ooldown",
                                                  "models=[",   "LiteLLM",       "litellm"};
  return std::any_of(words.begin(), words.end(),
                     [&](auto each) { return message.find(each) != std::string_view::npos; });
}

/// Returns the length of the names of classes and of the provider at the front of a message, such as
/// `litellm.RateLimitError: RateLimitError: OpenAIException - `. Returns 0 if the message does not begin with
/// `litellm.<Class>:`.
std::size_t prefix_length(std::string_view message) {
  constexpr std::string_view first = "litellm.";
  if (!message.starts_with(first)) return 0;
  std::size_t done = 0;
  for (;;) {
    auto end = done;
    while (end < message.size() && is_key(message[end])) ++end;
    const auto name = message.substr(done, end - done);
    const auto rest = message.substr(end);
    const bool is_class = name.ends_with("Error") || name.ends_with("Exception") || name == "Timeout" ||
                          name.starts_with(first);
    if (!is_class) return done;
    if (rest.starts_with(": ")) {
      done = end + 2;
    } else if (rest.starts_with(" - ")) {
      done = end + 3;
    } else if (rest.starts_with(" Error: ")) {  // "Timeout Error: "
      done = end + 8;
    } else if (rest.starts_with(":") && rest.size() == 1) {
      return message.size();
    } else if (rest.starts_with(" ") && name.ends_with("Exception") &&
               rest.substr(1, rest.find(' ', 1) - 1)
                   .ends_with("Error")) {  // "VertexAIException BadRequestError - "
      done = end + 1;
    } else {
      return done;
    }
  }
}

/// Returns the length of the JSON (or Python) object or array at the front of `text`; 0 if its brackets are
/// not balanced.
std::size_t balanced_length(std::string_view text) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return 0;
}

/// Returns where the sentence around `at` begins, but not less than `begin`. LiteLLM appends sentences
/// without a space: "Error code: 404No fallback …".
std::size_t sentence_begin(std::string_view message, std::size_t begin, std::size_t at) {
  constexpr std::string_view stops = ".!?";
  constexpr std::string_view closing = ".!?}])'\"";
  for (auto i = at; i > begin; --i) {
    const char before = message[i - 1];
    if (before == ' ' && i >= 2 && stops.find(message[i - 2]) != std::string_view::npos) return i;
    const bool may_be_glued = is_upper(message[i]) && (is_lower(before) || is_digit(before) ||
                                                       closing.find(before) != std::string_view::npos);
    if (!may_be_glued) continue;
    auto end = i + 1;
    while (end < message.size() && is_lower(message[end])) ++end;
    if (end < message.size() && message[end] == ' ') return i;
  }
  return begin;
}

/// If the word at `at` has a capital, returns where the run of capitalised words before it begins; `at` if
/// there are none.
std::size_t heading_begin(std::string_view message, std::size_t begin, std::size_t at) {
  if (!is_upper(message[at])) return at;
  for (auto word = at; word > begin && message[word - 1] == ' ';) {
    --word;
    while (word > begin && is_word(message[word - 1])) --word;
    if (!is_upper(message[word])) break;
    at = word;
  }
  return at;
}

/// Returns where the addition of LiteLLM begins that has its equals sign at `equals`; nullopt if this is not
/// an addition. `by_provider`: the message is a provider's, whose words may have equals signs too.
std::optional<std::size_t> addition_at(std::string_view message, std::size_t begin, std::size_t equals,
                                       bool by_provider) {
  const char next = equals + 1 < message.size() ? message[equals + 1] : ' ';
  if (next == '=' || next == ' ') return std::nullopt;
  auto key = equals;
  while (key > begin && is_key(message[key - 1])) --key;
  const auto name = message.substr(key, equals - key);
  if (std::none_of(name.begin(), name.end(), [](char c) { return is_upper(c) || is_lower(c); }))
    return std::nullopt;
  auto word = key;
  while (word > begin && message[word - 1] == ' ') --word;
  const bool is_pair = word < key && word > begin && is_word(message[word - 1]);
  while (word > begin && is_word(message[word - 1])) --word;
  const bool is_bracket = next == '{' || next == '[';
  if (by_provider) {
    if (!is_pair && !is_bracket) return std::nullopt;
    // OpenAI writes "Invalid schema for response_format 'x': In context=('properties', 'a'), …".
    if (next == '(') return std::nullopt;
  }
  const auto sentence = sentence_begin(message, begin, key);
  // The addition has a heading, as in "Available Model Group Fallbacks=".
  const auto heading = is_pair ? heading_begin(message, begin, key) : key;
  if (heading < key) return std::max(heading, sentence);
  // Only the list or object is the addition, and not the sentence before it: "slow down Deployments={…}".
  if (is_bracket && (by_provider || sentence == begin)) return key;
  if (sentence > begin || !by_provider) return sentence;
  return is_pair ? word : key;
}

std::size_t first_addition(std::string_view message, std::size_t begin) {
  const bool by_provider = names_provider(message);
  bool may_be_balanced = true;
  for (auto i = begin; i < message.size(); ++i) {
    const char c = message[i];
    if ((c == '{' || c == '[') && may_be_balanced) {
      const auto length = balanced_length(message.substr(i));
      may_be_balanced = length > 0;  // otherwise each further bracket would cause another search to the end
      if (length > 0) i += length - 1;
    } else if (c == '\n' || c == '\r') {
      return i;
    } else if (c == '=') {
      if (const auto start = addition_at(message, begin, i, by_provider)) return *start;
    }
  }
  return message.size();
}

/// Whether a message names the budget of a deployment, provider or team and what was spent. A client must not
/// see any of that.
bool tells_of_a_budget(std::string_view message) {
  embedded_error error;
  error.message = message;
  constexpr std::array<std::string_view, 5> facts{"=", "deployment", "provider", " tag", "crossed"};
  return !names_provider(message) && is_over_budget(error) &&
         std::any_of(facts.begin(), facts.end(),
                     [&](auto each) { return message.find(each) != std::string_view::npos; });
}

std::string text_of(std::string_view class_name) {
  const auto* row = find_litellm_class(class_name);
  return std::string{row != nullptr ? row->text : "The model gateway reported an error."};
}

/// Returns a text for a message of which nothing remains.
std::string plain_text(std::string_view message) {
  const auto* row = litellm_class_in(message);
  const bool by_router = row == nullptr || row->name == "BadRequestError" || row->name == "RateLimitError" ||
                         row->name == "ServiceUnavailableError";
  const bool no_deployment = message.find("healthy deployment") != std::string_view::npos ||
                             message.find("deployments available") != std::string_view::npos;
  if (by_router && no_deployment) return text_of("RouterRateLimitError");
  return text_of(row != nullptr ? row->name : "");
}

}  // namespace

std::string without_additions(std::string_view message) {
  if (message.empty()) return {};
  if (tells_of_a_budget(message)) return text_of("BudgetExceededError");
  const auto begin = prefix_length(message);
  auto end = message.size();
  if (begin > 0 || (!names_provider(message) && speaks_of_routing(message)))
    end = first_addition(message, begin);
  for (const auto sentence : sentences) end = std::min(end, message.find(sentence));
  if (end == message.size() && begin < end) return std::string{message};
  auto kept = message.substr(0, end);
  constexpr std::string_view loose = " \t\r\n-,:;({[";
  const auto last = kept.find_last_not_of(loose);
  kept = kept.substr(0, last == std::string_view::npos ? 0 : last + 1);
  const auto said = kept.substr(std::min(begin, kept.size()));
  return std::any_of(said.begin(), said.end(), is_word) ? std::string{kept} : plain_text(message);
}

}  // namespace llm_proxy
