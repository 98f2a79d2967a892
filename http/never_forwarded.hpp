// The client's headers that never go to LiteLLM, whatever the operator adds to the list of those that do.
#pragma once

#include <string_view>

namespace llm_proxy {

/// True for a header that must not reach LiteLLM even where FORWARD_HEADERS names it or has a pattern that
/// fits it. `name` is in any letter case. Such a header is one of these:
/// - a credential, or one that LiteLLM takes for a credential (its SpecialHeaders, 1.103.2),
/// - one that belongs to a single connection (RFC 9110 §7.6.1) or that llm-proxy writes itself,
/// - one that lets a client pass for somebody else: another model than the one that was checked, another
///   team or user of LiteLLM, another address,
/// - one that switches off what the operator of LiteLLM relies on: its callbacks, or true status codes
///   (x-litellm-keepalive-seconds makes LiteLLM answer 200 before it knows better).
bool never_forwarded(std::string_view name);

}  // namespace llm_proxy
