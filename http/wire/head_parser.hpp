// Reads heads (RFC 9112), strictly: what two parsers could read in two ways is refused here. One pass over
// the lines, no copy but that of the head into its header_list. Our own, since Beast's parser leaves a second
// strict pass to do (it ignores unknown Transfer-Encodings, a missing or double Host, fragments in targets)
// and costs three times as much; tests/fuzz hold it against that one.
#pragma once

#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <cstddef>
#include <string_view>

namespace llm_proxy {

inline constexpr std::size_t max_request_line = 8 * 1024;
inline constexpr std::size_t max_head = 32 * 1024;

/// Reads a whole request head, from the request line to the blank line, both included, into `head`.
/// Returns errc::none or the code to refuse it with, for what is wrong first in it; the message names that,
/// and `head` is not to be believed.
failure parse_request_head(std::string_view text, request_head& head);

/// Reads a whole response head likewise. What is wrong with it is the detail of upstream_invalid_response.
failure parse_response_head(std::string_view text, response_head& head, message_framing& framing);

/// RFC 9110 §7.2, RFC 3986 §3.2.2: host, optional port.
bool is_valid_host(std::string_view host);

}  // namespace llm_proxy
