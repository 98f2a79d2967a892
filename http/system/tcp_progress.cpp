#include "http/system/tcp_progress.hpp"

#include <algorithm>
#include <cstddef>
#include <linux/sockios.h>
#include <linux/tcp.h>  // the C library's tcp_info ends before tcpi_bytes_acked
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace llm_proxy {

std::optional<std::uint64_t> acknowledged_bytes(int descriptor) {
  tcp_info known{};
  socklen_t size = sizeof(known);
  constexpr auto needed = offsetof(tcp_info, tcpi_bytes_acked) + sizeof(known.tcpi_bytes_acked);
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &known, &size) != 0 || size < needed)
    return std::nullopt;
  // The SYN counts as a byte.
  const std::uint64_t counted = known.tcpi_bytes_acked;
  return counted - std::min<std::uint64_t>(counted, 1);
}

std::optional<std::uint64_t> unacknowledged_bytes(int descriptor) {
  int count = 0;
  if (::ioctl(descriptor, SIOCOUTQ, &count) != 0 || count < 0) return std::nullopt;
  return static_cast<std::uint64_t>(count);
}

}  // namespace llm_proxy
