// The headers by which LiteLLM groups an agent's requests into a session (LiteLLM 1.103.2,
// proxy/litellm_pre_call_utils.py, get_chain_id_from_headers() and _session_id_from_baggage()), as far as
// they are more than a fixed name: those are in header_policy.cpp.
#pragma once

#include <string_view>

namespace llm_proxy {

/// True for a header that begins with `x-codex-` or `x-claude-` and names no credential (auth, token, secret,
/// key, cookie). Any letter case.
bool is_agent_header(std::string_view name);

/// True for `x-<vendor>-session-id` with a value that looks like an id: 1 to 128 letters, digits and
/// `_ - . :`. False if the name speaks of a credential, a user or AWS (auth, token, secret, key, cookie,
/// user, aws, amz): such a header means something else. Any letter case.
bool is_vendor_session(std::string_view name, std::string_view value);

/// The entry `session.id=…` of a W3C Baggage header (https://www.w3.org/TR/baggage/), without its properties:
/// a part of `baggage`. Empty if there is no such entry, or it has no value.
std::string_view session_of_baggage(std::string_view baggage);

}  // namespace llm_proxy
