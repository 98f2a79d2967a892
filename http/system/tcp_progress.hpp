// How far the bytes of a TCP connection have come, as the kernel knows it.
#pragma once

#include <cstdint>
#include <optional>

namespace llm_proxy {

/// Returns how many of all bytes sent on the socket its peer's system has acknowledged (tcp_info, Linux 4.1).
/// Empty if that is not known. A reset leaves the number as it was: the acknowledgement that the reset itself
/// carries is not counted.
std::optional<std::uint64_t> acknowledged_bytes(int descriptor);

/// Returns how many bytes were given to the socket that its peer's system has not acknowledged (SIOCOUTQ of
/// tcp(7)). Empty if that is not known. A reset leaves the number as it was.
std::optional<std::uint64_t> unacknowledged_bytes(int descriptor);

}  // namespace llm_proxy
