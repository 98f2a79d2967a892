// Recognizes the headers by which LiteLLM groups an agent's requests into a session, where a pattern decides
// (LiteLLM 1.103.2, proxy/litellm_pre_call_utils.py, get_chain_id_from_headers() and
// _session_id_from_baggage()). The headers with fixed names are listed in header_policy.cpp.
#pragma once

#include <string_view>

namespace llm_proxy {

/// Whether `name` begins with `x-codex-` or `x-claude-` and holds none of the words auth, token, secret, key
/// and cookie, which would make it a credential. Letter case does not matter.
bool is_agent_header(std::string_view name);

/// Whether `name` is `x-<vendor>-session-id` and `value` looks like an id: 1 to 128 letters, digits and
/// `_ - . :`. A name with one of the words auth, token, secret, key, cookie, user, aws and amz is not
/// accepted, because such a header means something else. Letter case does not matter.
bool is_vendor_session(std::string_view name, std::string_view value);

/// Returns the entry `session.id=…` of a W3C Baggage header (https://www.w3.org/TR/baggage/) without its
/// properties, as a view into `baggage`. Returns an empty view if there is no such entry or it has no value.
std::string_view session_of_baggage(std::string_view baggage);

}  // namespace llm_proxy
