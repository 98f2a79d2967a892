#include "http/tls/transport_socket.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace llm_proxy {

namespace {

/// The most bytes of data in one TLS record (RFC 8446 §5.1). SSL_read() returns the data of one record at
/// most.
constexpr std::size_t largest_record = 16 * 1024;

}  // namespace

void transport_socket::open(int descriptor, watcher& owner) {
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  socket_.open(home_, descriptor, owner);
}

void transport_socket::take(transport_socket& from, watcher& owner) {
  tls_ = std::move(from.tls_);
  socket_.take(from.socket_, owner);
  socket_.set_readable(tls_ != nullptr);  // TLS may hold bytes that were not asked for
}

tls_session& transport_socket::start_tls(SSL_CTX& context, tls_side side) {
  tls_ = std::make_unique<tls_session>(context, socket_.descriptor(), side);
  return *tls_;
}

bool transport_socket::shake_hands(error_code& ec) {
  const auto done = tls_->handshake();
  if (done.next != tls_session::wait::none) {
    socket_.set_readable(false);
    return false;
  }
  ec = done.ec;
  return true;
}

bool transport_socket::has_unread() const {
  // TLS may already have read the peer's close_notify, together with the end of an answer (RFC 8446 §6.1).
  if (tls_ && ((SSL_get_shutdown(tls_->native()) & SSL_RECEIVED_SHUTDOWN) != 0 ||
               SSL_has_pending(tls_->native()) != 0))
    return true;
  char byte = 0;
  return ::recv(socket_.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

std::size_t transport_socket::read_tls(byte_buffer& in, std::size_t limit, error_code& ec) {
  const auto lent = home_.read_buffer();
  const auto want = std::min({limit, lent.size(), largest_record});
  const bool lends = in.empty();
  char* room = lends ? lent.data() : in.prepare(want);
  const auto done = tls_->read(room, want);
  if (lends) {
    in.lend(room, done.bytes);
  } else {
    in.commit(done.bytes);
  }
  // OpenSSL's buffer may hold more, which the system does not report.
  socket_.set_readable(done.bytes > 0);
  ec = done.next == tls_session::wait::none ? done.ec : error_code{boost::asio::error::would_block};
  return done.bytes;
}

std::size_t transport_socket::write_tls(std::string_view first, std::string_view second, error_code& ec) {
  // A small head and its body leave in one record. If TLS has to wait, the next call gives the same bytes, so
  // that they are put together in the same way.
  std::string both;
  if (!second.empty() && first.size() < largest_record) {
    both.append(first).append(second.substr(0, largest_record - first.size()));
    first = both;
  }
  const auto done = tls_->write(first);
  ec = done.next == tls_session::wait::none ? done.ec : error_code{boost::asio::error::would_block};
  return done.bytes;
}

bool transport_socket::end_sending() {
  if (tls_ && tls_->say_goodbye().next == tls_session::wait::write) return false;
  socket_.shutdown_send();
  return true;
}

void transport_socket::close(bool whole) {
  if (tls_ && whole && socket_.is_open()) tls_->say_goodbye();
  socket_.close();
}

}  // namespace llm_proxy
