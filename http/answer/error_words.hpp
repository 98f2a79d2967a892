// What the words in an error object mean: the types and codes that OpenAI, Anthropic, LiteLLM, Google and AWS
// give their errors instead of, or beside, an HTTP status.
#pragma once

#include "http/dialect/embedded_error.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace llm_proxy {

/// A row of the table: a type or code in words, and what it stands for.
struct error_word {
  std::string_view word;       ///< in lower case, with underscores
  unsigned status;             ///< the HTTP status under which its author sends it
  bool retryable;              ///< the same request may succeed a moment later
  std::string_view code = {};  ///< OpenAI's code for it, if that is another word
};

/// The whole table.
std::span<const error_word> all_error_words();

/// Finds what a type or code in words means, in any letter case, with hyphens or spaces for underscores. A
/// word that is not in the table may be the name of one of LiteLLM's classes, or contain a known part
/// ("…_rate_limit…"). Returns nullopt for any other word.
std::optional<error_word> find_error_word(std::string_view word);

/// What an error object says, whatever status it came with.
struct error_meaning {
  unsigned status = 502;       ///< as if upstream had answered with it: 400 to 599
  bool retryable = true;       ///< the same request may succeed a moment later
  bool in_words = false;       ///< a word says so, which is more precise than the status
  std::string_view code = {};  ///< OpenAI's code for it, static; empty if the error's own will do
};

/// Judges by, in this order: a spent budget and an exceeded context window, an HTTP status in numbers, the
/// code in words, the type in words (or Google's `status`), the class that LiteLLM's message names. If none
/// of them is known, the error is a 502 that may be tried again.
error_meaning meaning_of(const embedded_error& error);

/// The same for an error that came under an error status of its own, which counts as the number.
error_meaning meaning_of(const embedded_error& error, unsigned status);

/// Whether the error says that a budget is spent, in any of LiteLLM's wordings. Waiting a moment never helps.
bool is_over_budget(const embedded_error& error);

/// Whether the model's provider says that it has no room, in words that LiteLLM itself does not use (OpenAI's
/// `slow_down` and `server_is_overloaded`, Anthropic's `overloaded_error`).
bool provider_is_overloaded(const embedded_error& error);

/// Whether the request is longer than the model's context window, in LiteLLM's words or a provider's.
bool exceeds_context_window(const embedded_error& error);

}  // namespace llm_proxy
