#include "http/upstream/upstream_socket.hpp"

#include "http/system/local_shortage.hpp"
#include "http/system/tcp_progress.hpp"
#include "http/tls/tls_fault.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <iterator>
#include <sys/socket.h>
#include <utility>

namespace llm_proxy {

namespace {

/// Most bytes sent before other sockets have their turn. The kernel would take megabytes at once.
constexpr std::size_t largest_send = 256 * 1024;
constexpr std::size_t tls_read_size = 16 * 1024;  // one TLS record (RFC 8446 §5.1)

/// Chooses which of two errors is reported. A local shortage is: an address that could not be tried for lack
/// of a descriptor may well be reachable, whatever the other addresses returned.
boost::system::error_code worse_of(const boost::system::error_code& before,
                                   const boost::system::error_code& now) {
  return is_local_shortage(before) ? before : now;
}

}  // namespace

upstream_socket::upstream_socket(boost::asio::io_context& io, reactor& home, boost::asio::ssl::context* tls)
    : io_{io}, home_{home}, counted_{home}, tls_context_{tls} {}

// -- connecting ---------------------------------------------------------------------

void upstream_socket::connect(const upstream_address& address) {
  try {
    begin_connect(address);
  } catch (...) {
    tell_later(error_of(std::current_exception()));  // out of memory or threads
  }
}

void upstream_socket::begin_connect(const upstream_address& address) {
  if (tls_context_ != nullptr) {
    tls_ = std::make_unique<tls_stream>(io_, *tls_context_);
    boost::system::error_code not_an_ip;
    boost::asio::ip::make_address(address.host, not_an_ip);
    // SNI names hosts, never addresses (RFC 6066 §3).
    if (not_an_ip) SSL_set_tlsext_host_name(tls_->native_handle(), address.host.c_str());
    require_host(*tls_->native_handle(), address.host);
  }
  boost::system::error_code not_an_ip;
  const auto ip = boost::asio::ip::make_address(address.host, not_an_ip);
  if (!not_an_ip) {
    const auto port = static_cast<std::uint16_t>(std::stoul(address.port));
    connect_to(name_lookup_result::create(tcp::endpoint{ip, port}, address.host, address.port));
    return;
  }
  look_up_name(
      address.host, address.port, home_.inbox(),
      [weak = weak_from_this()](const boost::system::error_code& ec, const name_lookup_result& found) {
        const auto self = weak.lock();
        if (!self || self->closed_) return;
        if (ec) {
          self->connected(ec);
        } else {
          self->connect_to(found);
        }
      });
}

void upstream_socket::connect_to(const name_lookup_result& endpoints) {
  home_.asio_used();
  connecting_ = std::make_unique<tcp::socket>(io_);
  connect_next(endpoints, endpoints.begin(), boost::asio::error::host_not_found);
}

/// Tries the endpoints from `at` on, one after the other. `failed` is the error of those before it. (Asio's
/// async_connect() for a range reports a socket that cannot be opened as cancelled.)
void upstream_socket::connect_next(const name_lookup_result& endpoints, name_lookup_result::iterator at,
                                   boost::system::error_code failed) {
  for (; at != endpoints.end(); ++at) {
    boost::system::error_code ec;
    connecting_->close(ec);
    connecting_->open(at->endpoint().protocol(), ec);
    if (ec) {
      failed = worse_of(failed, ec);
      continue;
    }
    connecting_->async_connect(at->endpoint(), [self = shared_from_this(), endpoints, at,
                                                failed](const boost::system::error_code& outcome) {
      if (self->closed_) return;
      if (!outcome) {
        self->connect_ended({});
        return;
      }
      const auto told = worse_of(failed, connect_error(outcome, at->endpoint()));
      self->connect_next(endpoints, std::next(at), told);
    });
    return;
  }
  tell_later(failed);
}

/// Reports later, because on_connected() must not be called before connect() has returned.
void upstream_socket::tell_later(const boost::system::error_code& ec) {
  home_.inbox()->post([weak = weak_from_this(), ec] {
    const auto self = weak.lock();
    if (self && !self->closed_) self->connect_ended(ec);
  });
}

void upstream_socket::connect_ended(const boost::system::error_code& ec) {
  if (ec) {
    connected(ec);
    return;
  }
  boost::system::error_code ignored;
  connecting_->set_option(tcp::no_delay{true}, ignored);
  if (tls_) {
    shake_hands();
    return;
  }
  boost::system::error_code failed;
  try {
    plain_.open(home_, connecting_->release(), *this);
  } catch (...) {
    failed = error_of(std::current_exception());  // epoll can watch no more sockets
  }
  connected(failed);
}

void upstream_socket::shake_hands() {
  tls_->next_layer() = std::move(*connecting_);
  tls_->async_handshake(boost::asio::ssl::stream_base::client,
                        [self = shared_from_this()](const boost::system::error_code& ec) {
                          if (!self->closed_) self->connected(or_shortage(ec));
                        });
}

void upstream_socket::connected(const boost::system::error_code& ec) {
  connecting_.reset();
  if (user_ != nullptr) user_->on_connected(ec);
}

std::string upstream_socket::explain(const boost::system::error_code& ec, const std::string& host) {
  return tls_ ? explain_handshake(*tls_->native_handle(), host, ec) : ec.message();
}

// -- sending ------------------------------------------------------------------------

void upstream_socket::send(std::shared_ptr<const std::string> head, std::shared_ptr<const std::string> body) {
  sending_ = true;
  reset_in_send_ = false;
  if (tls_) {
    home_.asio_used();
    tls_bytes_before_ = BIO_number_written(SSL_get_wbio(tls_->native_handle()));
    const std::array<boost::asio::const_buffer, 2> buffers{
        boost::asio::buffer(*head), body ? boost::asio::buffer(*body) : boost::asio::const_buffer{}};
    boost::asio::async_write(*tls_, buffers,
                             [self = shared_from_this(), head, body](const boost::system::error_code& ec,
                                                                     std::size_t) { self->sent(ec); });
    return;
  }
  head_ = std::move(head);
  body_ = std::move(body);
  sent_bytes_ = 0;
  send_rest();
}

void upstream_socket::send_rest() {
  const std::string_view head{*head_};
  const std::string_view body = body_ ? std::string_view{*body_} : std::string_view{};
  const auto total = head.size() + body.size();
  const auto begin = sent_bytes_;
  boost::system::error_code ec;
  while (sent_bytes_ < total) {
    if (sent_bytes_ - begin >= largest_send) {
      plain_.write_again();
      return;
    }
    const auto rest_of_head = head.substr(std::min(sent_bytes_, head.size()));
    const auto rest_of_body = body.substr(sent_bytes_ - std::min(sent_bytes_, head.size()), largest_send);
    if (rest_of_head.empty()) {
      sent_bytes_ += plain_.write(rest_of_body, {}, ec);
    } else {
      sent_bytes_ += plain_.write(rest_of_head, rest_of_body, ec);
    }
    if (ec == boost::asio::error::would_block) return;  // on_ready() continues
    if (ec) break;
  }
  head_.reset();
  body_.reset();
  sent(ec);
}

void upstream_socket::sent(const boost::system::error_code& ec) {
  sending_ = false;
  if (ec == boost::asio::error::connection_reset) reset_in_send_ = true;
  if (user_ != nullptr) user_->on_sent(ec);
}

// A peer that closes an idle connection sends a FIN, which acknowledges everything that had arrived before.
// It never reads what arrives later, and answers that with a reset that acknowledges nothing. So after a FIN
// the unacknowledged bytes are those that came too late. (A read reports a FIN as the end, even if a reset
// follows it.)
//
// A reset without a FIN proves nothing. Linux does not count the acknowledgement that a reset carries, so a
// peer that has read a small request and resets the connection at once looks the same as one that is gone.
// Then the only bytes that certainly did not arrive are those that were never handed to the system.
bool upstream_socket::nothing_received(const boost::system::error_code& how) {
  const bool ended = how == boost::asio::error::eof || how == boost::asio::ssl::error::stream_truncated;
  const auto waiting = unacknowledged_bytes(descriptor());
  if (!waiting) return false;
  if (tls_) {
    // The system may not have taken all bytes that TLS has written, so those that it has taken are counted.
    const auto acknowledged = acknowledged_bytes(descriptor());
    if (!acknowledged || *acknowledged > tls_bytes_before_) return false;
    const bool taken = *acknowledged + *waiting > tls_bytes_before_;
    return !taken || (ended && !reset_in_send_);
  }
  if (sent_bytes_ == 0) return true;
  return ended && !reset_in_send_ && *waiting >= sent_bytes_;
}

// -- reading ------------------------------------------------------------------------

void upstream_socket::on_ready(readiness now) {
  const auto self = shared_from_this();
  plain_.note(now);
  if (now.writable && head_) send_rest();
  if (wanted_ > 0 && plain_.readable() && !closed_) read_plain();
}

void upstream_socket::read(std::size_t limit) {
  if (wanted_ > 0 || closed_) return;
  wanted_ = limit;
  if (tls_) {
    read_tls(limit);
  } else {
    plain_.look_again();
  }
}

void upstream_socket::read_plain() {
  boost::system::error_code ec;
  plain_.read(in_, wanted_, ec);
  if (ec == boost::asio::error::would_block) {
    in_.keep();
    return;
  }
  wanted_ = 0;
  if (user_ != nullptr) user_->on_read(ec);
  in_.keep();
}

void upstream_socket::read_tls(std::size_t limit) {
  home_.asio_used();
  const auto size = std::min(limit, tls_read_size);
  tls_->async_read_some(boost::asio::buffer(in_.prepare(size), size),
                        [self = shared_from_this()](const boost::system::error_code& ec, std::size_t n) {
                          self->wanted_ = 0;
                          if (self->closed_) return;
                          self->in_.commit(n);
                          if (self->user_ != nullptr) self->user_->on_read(ec);
                        });
}

bool upstream_socket::readable() {
  char byte = 0;
  // TLS may already have read the peer's close_notify, together with the end of an answer (RFC 8446 §6.1).
  if (tls_ && (SSL_get_shutdown(tls_->native_handle()) & SSL_RECEIVED_SHUTDOWN) != 0) return true;
  const auto n = ::recv(descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n >= 0 || errno != EAGAIN || !in_.empty();
}

int upstream_socket::descriptor() {
  return tls_ ? tls_->next_layer().native_handle() : plain_.descriptor();
}

// -- closing ------------------------------------------------------------------------

void upstream_socket::close() {
  user_ = nullptr;
  if (std::exchange(closed_, true)) return;
  // Asio's unfinished operations keep this object alive until the io_context is destroyed, and the reactor is
  // destroyed before that.
  counted_.leave();
  boost::system::error_code ignored;
  if (connecting_) {
    connecting_->close(ignored);
    home_.asio_used();
  }
  // A half-sent request is useless. With a reset its rest is not sent before the connection ends.
  if (tls_) {
    auto& socket = tls_->next_layer();
    if (sending_) socket.set_option(boost::asio::socket_base::linger{true, 0}, ignored);
    socket.close(ignored);
    home_.asio_used();
  } else if (sending_) {
    plain_.reset();
  } else {
    plain_.close();
  }
}

void upstream_socket::rest() {
  in_.shrink(tls_ ? tls_read_size : 0);
}

}  // namespace llm_proxy
