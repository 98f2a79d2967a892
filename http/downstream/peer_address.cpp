#include "http/downstream/peer_address.hpp"

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <sys/socket.h>

namespace llm_proxy {

namespace {

std::string address_text(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* address = nullptr;
  int family = AF_INET;
  if (peer.ss_family == AF_INET) {
    address = &reinterpret_cast<const sockaddr_in&>(peer).sin_addr;
  } else if (peer.ss_family == AF_INET6) {
    const auto& six = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
    const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&six);
    family = is_mapped ? AF_INET : AF_INET6;
    // RFC 4291 §2.5.5.2: the last four bytes are the IPv4 address.
    address = is_mapped ? &six.s6_addr[12] : &six.s6_addr[0];
  }
  const bool known = address != nullptr && ::inet_ntop(family, address, text.data(), text.size()) != nullptr;
  return known ? std::string{text.data()} : std::string{};
}

}  // namespace

std::string peer_address(int descriptor) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return {};
  return address_text(peer);
}

}  // namespace llm_proxy
