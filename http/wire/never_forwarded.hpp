// Names the client's headers that are never sent to LiteLLM, whatever FORWARD_HEADERS says.
#pragma once

#include <string_view>

namespace llm_proxy {

/// Whether a header with this `name` must not reach LiteLLM, even if FORWARD_HEADERS names it or has a
/// pattern that fits it. Letter case does not matter. There are four reasons:
/// - The header is a credential, or LiteLLM would read it as one (its SpecialHeaders, 1.103.2).
/// - It belongs to a single connection (RFC 9110 §7.6.1), or llm-proxy writes it itself.
/// - With it a client could pretend to be somebody else: it could name another model than the one that was
///   checked, another team or user of LiteLLM, or another address.
/// - It switches off something that LiteLLM's operator relies on, such as LiteLLM's callbacks or true status
///   codes: x-litellm-keepalive-seconds makes LiteLLM answer 200 before it knows the result.
bool never_forwarded(std::string_view name);

}  // namespace llm_proxy
