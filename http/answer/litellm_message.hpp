// What of an error's message is meant for a client: LiteLLM adds its router's state to what a provider says.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// The part of a message before LiteLLM's first addition: a line break, or `Word Word=`, `word={`, `word=[`
/// with the sentence that it stands in. If nothing but LiteLLM's prefix remains, a plain text for its class.
///
/// Messages that begin with `litellm.<Class>:` are read so, and those that name no provider but speak of
/// LiteLLM's router (deployments, fallbacks, cooldowns). Others lose only the sentences that LiteLLM is known
/// to append, and everything behind them. A JSON value inside the message is the provider's: it is never cut.
std::string without_additions(std::string_view message);

}  // namespace llm_proxy
