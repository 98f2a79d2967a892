#include "http/downstream/downstream_socket.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace llm_proxy {

namespace {

/// The size of a TLS record (RFC 8446 §5.1). OpenSSL returns no more at a time.
constexpr std::size_t largest_record = 16 * 1024;

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

downstream_socket::downstream_socket(reactor& home, boost::asio::ip::tcp::socket socket, watcher& owner,
                                     SSL_CTX* tls)
    : counted_{home} {
  error_code ignored;
  socket.set_option(boost::asio::ip::tcp::no_delay{true}, ignored);
  const int descriptor = socket.release();
  if (tls != nullptr) tls_ = std::make_unique<tls_part>(*tls, descriptor, home, owner);
  socket_.open(home, descriptor, owner);
}

bool downstream_socket::shake_hands(error_code& ec) {
  const auto done = tls_->session.handshake();
  if (done.next != tls_session::wait::none) {
    tls_->unread = false;
    return false;
  }
  ec = done.ec;
  tls_->shaken = !ec;
  return true;
}

void downstream_socket::look_again() {
  if (!tls_) {
    socket_.look_again();
  } else if (tls_->unread) {
    tls_->home.again(tls_->owner, {true, false, false});
  }
}

std::size_t downstream_socket::read_tls(byte_buffer& in, std::size_t limit, error_code& ec) {
  const auto lent = tls_->home.read_buffer();
  const auto want = std::min({limit, lent.size(), largest_record});
  const bool lends = in.empty();
  char* room = lends ? lent.data() : in.prepare(want);
  const auto done = tls_->session.read(room, want);
  if (lends) {
    in.lend(room, done.bytes);
  } else {
    in.commit(done.bytes);
  }
  // OpenSSL's buffer may hold more, which the system does not report.
  tls_->unread = done.bytes > 0;
  ec = done.next == tls_session::wait::none ? done.ec : error_code{boost::asio::error::would_block};
  return done.bytes;
}

std::size_t downstream_socket::write_tls(std::string_view bytes, error_code& ec) {
  const auto done = tls_->session.write(bytes);
  ec = done.next == tls_session::wait::none ? done.ec : error_code{boost::asio::error::would_block};
  return done.bytes;
}

std::string downstream_socket::peer_address() const {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (!socket_.is_open() ||
      ::getpeername(socket_.descriptor(), reinterpret_cast<sockaddr*>(&peer), &size) != 0)
    return {};
  return address_text(peer);
}

std::size_t downstream_socket::unacknowledged() const {
  int bytes = 0;
  if (!socket_.is_open() || ::ioctl(socket_.descriptor(), SIOCOUTQ, &bytes) != 0) return 0;
  return static_cast<std::size_t>(bytes);
}

bool downstream_socket::end_sending() {
  if (tls_ && tls_->session.say_goodbye().next == tls_session::wait::write) return false;
  socket_.shutdown_send();
  return true;
}

void downstream_socket::close(bool whole) {
  if (tls_ && whole && socket_.is_open()) tls_->session.say_goodbye();
  socket_.close();
}

}  // namespace llm_proxy
