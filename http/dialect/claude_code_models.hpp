// The model ids that LiteLLM shows to Claude Code (LiteLLM 1.103.2,
// proxy/common_utils/model_listing_utils.py). Claude Code's picker lists a model only if its id has `claude`
// or `anthropic` in it, so LiteLLM lists `gpt-4o` to it as `claude-router-` and the bytes of its name in
// hexadecimal digits, with `[1m]` behind models that take a million tokens, and takes such ids from
// everybody.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

class header_list;

/// Whether a request comes from Claude Code: its `user-agent` begins with `claude-cli/` or `claude-code/`, or
/// `x-gateway-client` is `claude-code` in any letter case.
bool is_claude_code(const header_list& headers);

/// The id under which Claude Code lists a model of this name: the name itself if it has `claude` or
/// `anthropic` in it, in any letter case.
std::string claude_code_id(std::string_view name);

/// The name behind an id that claude_code_id() has made up. Empty if `id` is not such an id.
std::string name_behind_claude_code_id(std::string_view id);

/// `name` without the mark of a context of a million tokens, which LiteLLM takes off in any letter case.
std::string_view without_context_mark(std::string_view name);

}  // namespace llm_proxy
