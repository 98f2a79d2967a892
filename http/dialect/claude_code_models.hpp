// The model ids that LiteLLM shows to Claude Code (LiteLLM 1.103.2,
// proxy/common_utils/model_listing_utils.py). Claude Code's picker lists a model only if its id contains
// `claude` or `anthropic`. So LiteLLM lists `gpt-4o` to it as `claude-router-` followed by the bytes of the
// name in hexadecimal digits. It appends `[1m]` to models that take a million tokens. It accepts such ids
// from every client.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

class header_list;

/// Whether a request comes from Claude Code: its `user-agent` begins with `claude-cli/` or `claude-code/`, or
/// `x-gateway-client` is `claude-code` in any letter case.
bool is_claude_code(const header_list& headers);

/// Returns the id under which Claude Code lists a model of this name: the name itself if it contains `claude`
/// or `anthropic` in any letter case.
std::string claude_code_id(std::string_view name);

/// Returns the name from which claude_code_id() made `id`. Empty if `id` is not such an id.
std::string name_behind_claude_code_id(std::string_view id);

/// Returns `name` without the mark `[1m]` of a context of a million tokens. LiteLLM removes it in any letter
/// case.
std::string_view without_context_mark(std::string_view name);

}  // namespace llm_proxy
