// Hides secrets in texts that others read: the log, and answers to clients.
#pragma once

#include <string>
#include <string_view>

namespace llm_proxy {

/// Replaces each occurrence of `secret` in `text` by `***`. LiteLLM repeats a key that it refuses, and
/// neither the log nor a client may read ours. An empty secret occurs nowhere.
void redact(std::string& text, std::string_view secret);

}  // namespace llm_proxy
