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
  std::string_view name;  ///< as it stands behind "litellm."
  blame
      source;  ///< where the message names a `<Provider>Exception` and this says litellm, it is the provider
  unsigned status;        ///< that LiteLLM answers with
  bool retryable;         ///< the same request may succeed a moment later
  std::string_view text;  ///< what a client reads when nothing of the message is for it
};

std::span<const litellm_class> litellm_classes();

/// The row of a class; nullptr if LiteLLM has no such class.
const litellm_class* find_litellm_class(std::string_view name);

/// The row of the first class that a message names as `litellm.<Class>`, wherever that stands; nullptr if it
/// names none that is known.
const litellm_class* litellm_class_in(std::string_view message);

/// True if a message says which provider failed (`<Provider>Exception - …`, docs.litellm.ai, "Diagnosing
/// Errors").
bool names_provider(std::string_view message);

}  // namespace llm_proxy
