// LiteLLM's exception classes, as the messages of its errors name them: one row each.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace llm_proxy {

/// Whose fault an error is.
enum class blame : std::uint8_t { client, proxy, litellm, provider };
std::string_view to_string(blame source);

/// What an exception class of LiteLLM means (litellm/exceptions.py; docs.litellm.ai, "Exception Mapping").
struct litellm_class {
  std::string_view name;  ///< as it follows "litellm." in messages
  blame source;           ///< litellm: it is the provider if the message names a `<Provider>Exception`
  unsigned status;        ///< the one that LiteLLM answers with
  bool retryable;         ///< the same request may succeed a moment later
  std::string_view text;  ///< what a client reads if no part of the message is meant for it
};

std::span<const litellm_class> litellm_classes();

/// Returns the row of a class; nullptr if LiteLLM has no such class.
const litellm_class* find_litellm_class(std::string_view name);

/// Returns the row of the first class that a message names as `litellm.<Class>`, anywhere in the message;
/// nullptr if it names no known class.
const litellm_class* litellm_class_in(std::string_view message);

/// Whether a message says which provider failed (`<Provider>Exception - …`, docs.litellm.ai, "Diagnosing
/// Errors").
bool names_provider(std::string_view message);

}  // namespace llm_proxy
