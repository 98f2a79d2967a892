// What a path may look like so that every server reads the same path from it, and which paths are LiteLLM's
// own management.
#pragma once

#include <string_view>

namespace llm_proxy {

/// Returns the text up to the first slash.
std::string_view first_segment(std::string_view path);

/// Whether `path` is `prefix` or lies below it.
bool lies_below(std::string_view path, std::string_view prefix);

/// Whether an upstream, or a proxy before it, must read the same path from this segment as we do: it is not
/// empty, `.` or `..`, and has no separator or control byte, not even percent-encoded.
bool is_plain_segment(std::string_view segment);

/// Whether all segments of a path, which begins with a slash, are plain.
bool has_plain_segments(std::string_view path);

/// Whether a path leads to LiteLLM's management or to pages that show its internals, with a version in front
/// (`/v1/key/info`) or without.
bool is_management(std::string_view path);

}  // namespace llm_proxy
