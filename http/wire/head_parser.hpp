// Reads heads (RFC 9112), strictly: a head that two parsers could read in two ways is refused. It makes one
// pass over the lines, and copies the head only once, into its header_list. It is our own, because Beast's
// parser would need a second, strict pass (it ignores unknown Transfer-Encodings, a missing or double Host,
// and fragments in targets) and costs three times as much. tests/fuzz compare the two.
#pragma once

#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <string_view>

namespace llm_proxy {

inline constexpr std::size_t max_request_line = 8 * 1024;
inline constexpr std::size_t max_head = 32 * 1024;

/// Reads a whole request head, from the request line to the blank line, both included, into `head`. Returns
/// errc::none, or else the code and the message for the first thing that is wrong; then `head` must not be
/// used.
failure parse_request_head(std::string_view text, request_head& head);

/// Reads a whole response head likewise. If something is wrong, returns upstream_invalid_response, whose
/// detail says what.
failure parse_response_head(std::string_view text, response_head& head, message_framing& framing);

/// Whether `host` is a host with an optional port (RFC 9110 §7.2, RFC 3986 §3.2.2).
bool is_valid_host(std::string_view host);

}  // namespace llm_proxy
