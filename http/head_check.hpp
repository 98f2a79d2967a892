// The strict reading of a request head (RFC 9112) that Beast's parser leaves open: what two parsers could
// read in two ways is refused here, before any of it is believed.
#pragma once

#include "http/errc.hpp"

#include <cstddef>
#include <string_view>

namespace llm_proxy {

inline constexpr std::size_t max_request_line = 8 * 1024;
inline constexpr std::size_t max_request_head = 32 * 1024;

/// Checks a whole head, from the request line to the blank line, both included.
/// Answers errc::none or the code to refuse it with; the message names what is wrong.
failure check_request_head(std::string_view head);

/// Checks what has arrived of a head whose end has not come yet, so that a hopeless one is refused at once:
/// limits, bare LF. `from` is where the last call ended.
failure check_partial_head(std::string_view head, std::size_t from);

/// RFC 9110 §7.2, RFC 3986 §3.2.2: host, optional port.
bool is_valid_host(std::string_view host);

}  // namespace llm_proxy
