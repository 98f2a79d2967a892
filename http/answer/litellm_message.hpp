// Finds the part of an error message that is meant for a client: LiteLLM appends the state of its router to
// what a provider says.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns the part of a message before LiteLLM's first addition, which begins with a line break, or with the
/// sentence that holds `Word Word=`, `word={` or `word=[`. If only LiteLLM's prefix remains, returns a plain
/// text for its class.
///
/// This applies to messages that begin with `litellm.<Class>:`, and to those that name no provider but speak
/// of LiteLLM's router (deployments, fallbacks, cooldowns). From other messages only the sentences that
/// LiteLLM is known to append are cut, and everything after them. A JSON value inside the message comes from
/// the provider and is never cut.
std::string without_additions(std::string_view message);

}  // namespace llm_proxy
