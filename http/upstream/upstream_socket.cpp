#include "http/upstream/upstream_socket.hpp"

#include "http/system/local_shortage.hpp"
#include "http/system/owned_descriptor.hpp"
#include "http/system/tcp_progress.hpp"
#include "http/tls/tls_fault.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>

namespace llm_proxy {

namespace {

using boost::asio::ip::tcp;

/// Most bytes sent before other sockets have their turn. The kernel would take megabytes at once.
constexpr std::size_t largest_send = 256 * 1024;
constexpr std::size_t tls_read_size = 16 * 1024;  // one TLS record (RFC 8446 §5.1)

/// Chooses which of two errors is reported. A local shortage is: an address that could not be tried for lack
/// of a descriptor may well be reachable, whatever the other addresses returned.
boost::system::error_code worse_of(const boost::system::error_code& before,
                                   const boost::system::error_code& now) {
  return is_local_shortage(before) ? before : now;
}

boost::system::error_code system_error(int code) {
  return {code, boost::system::system_category()};
}

/// Returns how the connecting of a socket has ended (connect(2), EINPROGRESS).
boost::system::error_code outcome_of_connect(int descriptor) {
  int code = 0;
  socklen_t size = sizeof(code);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  return code == 0 ? boost::system::error_code{} : system_error(code);
}

}  // namespace

/// The addresses of the upstream, which are tried one after the other.
struct upstream_socket::connect_attempt {
  name_lookup_result endpoints;
  name_lookup_result::iterator at = endpoints.begin();
  boost::system::error_code failed = boost::asio::error::host_not_found;  // of those before `at`
};

upstream_socket::upstream_socket(reactor& home, SSL_CTX* tls)
    : home_{home}, counted_{home}, tls_context_{tls}, socket_{home} {}

upstream_socket::~upstream_socket() = default;

// -- connecting ---------------------------------------------------------------------

void upstream_socket::connect(const upstream_address& address) {
  try {
    begin_connect(address);
  } catch (...) {
    tell_later(error_of(std::current_exception()));  // out of memory or threads
  }
}

void upstream_socket::begin_connect(const upstream_address& address) {
  host_ = address.host;
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
  connecting_ = std::make_unique<connect_attempt>(connect_attempt{endpoints});
  try_next();
}

/// Begins to connect to the next address that the system agrees to try; on_ready() goes on.
void upstream_socket::try_next() {
  auto& [endpoints, at, failed] = *connecting_;
  for (; at != endpoints.end(); ++at) {
    const tcp::endpoint peer = at->endpoint();
    owned_descriptor opened{
        ::socket(peer.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)};
    if (opened.get() < 0) {
      failed = worse_of(failed, system_error(errno));
    } else if (::connect(opened.get(), peer.data(), static_cast<socklen_t>(peer.size())) != 0 &&
               errno != EINPROGRESS) {
      failed = worse_of(failed, connect_error(system_error(errno), peer));
    } else {
      try {
        socket_.open(opened.release(), *this);
        return;
      } catch (...) {
        socket_.reset();
        failed = worse_of(failed, error_of(std::current_exception()));  // epoll can watch no more sockets
      }
    }
  }
  tell_later(failed);
}

/// Reports later, because on_connected() must not be called before connect() has returned.
void upstream_socket::tell_later(const boost::system::error_code& ec) {
  home_.inbox()->post([weak = weak_from_this(), ec] {
    const auto self = weak.lock();
    if (self && !self->closed_) self->connected(ec);
  });
}

void upstream_socket::on_attempt_ended() {
  auto& [endpoints, at, failed] = *connecting_;
  if (const auto ec = outcome_of_connect(socket_.descriptor())) {
    socket_.reset();
    failed = worse_of(failed, connect_error(ec, at->endpoint()));
    ++at;
    try_next();
    return;
  }
  connecting_.reset();
  if (tls_context_ == nullptr) {
    connected({});
    return;
  }
  boost::system::error_code failed_to_start;
  try {
    start_tls();
  } catch (...) {
    socket_.stop_tls();  // its session may be incomplete, and explain() would ask it
    failed_to_start = error_of(std::current_exception());
  }
  if (failed_to_start) {
    connected(failed_to_start);
  } else {
    shake_hands();
  }
}

void upstream_socket::start_tls() {
  auto* tls = socket_.start_tls(*tls_context_, tls_side::client).native();
  if (tls == nullptr) throw std::bad_alloc{};
  boost::system::error_code not_an_ip;
  boost::asio::ip::make_address(host_, not_an_ip);
  // SNI names hosts, never addresses (RFC 6066 §3).
  if (not_an_ip) SSL_set_tlsext_host_name(tls, host_.c_str());
  require_host(*tls, host_);
}

void upstream_socket::shake_hands() {
  boost::system::error_code ec;
  if (socket_.shake_hands(ec)) connected(or_shortage(ec));
}

void upstream_socket::connected(const boost::system::error_code& ec) {
  connecting_.reset();
  if (user_ != nullptr) user_->on_connected(ec);
}

std::string upstream_socket::explain(const boost::system::error_code& ec) const {
  return socket_.tls() != nullptr ? explain_handshake(*socket_.tls()->native(), host_, ec) : ec.message();
}

// -- sending ------------------------------------------------------------------------

void upstream_socket::send(std::shared_ptr<const std::string> head, std::shared_ptr<const std::string> body) {
  sending_ = true;
  reset_in_send_ = false;
  if (socket_.tls() != nullptr) tls_bytes_before_ = BIO_number_written(SSL_get_wbio(socket_.tls()->native()));
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
      socket_.write_again();
      return;
    }
    const auto rest_of_head = head.substr(std::min(sent_bytes_, head.size()));
    const auto rest_of_body = body.substr(sent_bytes_ - std::min(sent_bytes_, head.size()), largest_send);
    if (rest_of_head.empty()) {
      sent_bytes_ += socket_.write(rest_of_body, {}, ec);
    } else {
      sent_bytes_ += socket_.write(rest_of_head, rest_of_body, ec);
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
  const bool ended = how == boost::asio::error::eof;
  const auto waiting = unacknowledged_bytes(socket_.descriptor());
  if (!waiting) return false;
  if (socket_.tls() != nullptr) {
    // A record that TLS has made may not have been given to the system yet, so the bytes that the system has
    // taken are counted.
    const auto acknowledged = acknowledged_bytes(socket_.descriptor());
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
  socket_.note(now);
  if (connecting_) {
    if (now.writable) on_attempt_ended();
    return;
  }
  if (socket_.wants_handshake()) {
    shake_hands();
    return;
  }
  // TLS may have to read before it can write.
  if (head_ && (now.writable || socket_.tls() != nullptr)) send_rest();
  if (wanted_ > 0 && socket_.readable() && !closed_) read_now();
}

void upstream_socket::read(std::size_t limit) {
  if (wanted_ > 0 || closed_) return;
  wanted_ = limit;
  socket_.look_again();
}

void upstream_socket::read_now() {
  boost::system::error_code ec;
  socket_.read(in_, wanted_, ec);
  if (ec == boost::asio::error::would_block) {
    in_.keep();
    return;
  }
  wanted_ = 0;
  if (user_ != nullptr) user_->on_read(ec);
  in_.keep();
}

bool upstream_socket::readable() {
  return !in_.empty() || socket_.has_unread();
}

// -- closing ------------------------------------------------------------------------

void upstream_socket::close() {
  user_ = nullptr;
  if (std::exchange(closed_, true)) return;
  counted_.leave();
  // A half-sent request is useless. With a reset its rest is not sent before the connection ends.
  if (sending_) {
    socket_.reset();
  } else {
    socket_.close(false);
  }
}

void upstream_socket::rest() {
  in_.shrink(0);
}

}  // namespace llm_proxy
