#include "http/upstream_socket.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <utility>

namespace llm_proxy {

namespace {

constexpr std::size_t first_read_size = 4 * 1024;  // what an open stream holds
constexpr std::size_t largest_read_size = 64 * 1024;

}  // namespace

upstream_socket::upstream_socket(boost::asio::io_context& io, boost::asio::ssl::context* tls)
    : resolver_{io}, read_size_{first_read_size} {
  if (tls != nullptr) {
    tls_.emplace(io, *tls);
  } else {
    plain_.emplace(io);
  }
}

void upstream_socket::connect(const upstream_address& address) {
  host_ = address.host;
  boost::system::error_code not_an_ip;
  const auto ip = boost::asio::ip::make_address(address.host, not_an_ip);
  if (!not_an_ip) {
    const auto port = static_cast<std::uint16_t>(std::stoul(address.port));
    connect_to(tcp::resolver::results_type::create(tcp::endpoint{ip, port}, address.host, address.port));
    return;
  }
  resolver_.async_resolve(address.host, address.port,
                          [self = shared_from_this()](const boost::system::error_code& ec,
                                                      const tcp::resolver::results_type& endpoints) {
                            if (self->closed_) return;
                            if (ec) {
                              self->connected(ec);
                            } else {
                              self->connect_to(endpoints);
                            }
                          });
}

void upstream_socket::connect_to(const tcp::resolver::results_type& endpoints) {
  boost::asio::async_connect(
      lowest(), endpoints,
      [self = shared_from_this()](const boost::system::error_code& ec, const tcp::endpoint&) {
        if (self->closed_) return;
        if (ec || !self->tls_) {
          self->connected(ec);
          return;
        }
        auto& tls = *self->tls_;
        boost::system::error_code ignored;
        boost::asio::ip::make_address(self->host_, ignored);
        // SNI names hosts, never addresses (RFC 6066 §3).
        if (ignored) SSL_set_tlsext_host_name(tls.native_handle(), self->host_.c_str());
        tls.set_verify_callback(boost::asio::ssl::host_name_verification{self->host_}, ignored);
        tls.async_handshake(boost::asio::ssl::stream_base::client,
                            [self](const boost::system::error_code& failed) {
                              if (!self->closed_) self->connected(failed);
                            });
      });
}

void upstream_socket::connected(const boost::system::error_code& ec) {
  if (!ec) {
    boost::system::error_code ignored;
    lowest().set_option(tcp::no_delay{true}, ignored);
  }
  if (user_ != nullptr) user_->on_connected(ec);
}

void upstream_socket::send(std::shared_ptr<const std::string> head, std::shared_ptr<const std::string> body) {
  const std::array<boost::asio::const_buffer, 2> buffers{
      boost::asio::buffer(*head), body ? boost::asio::buffer(*body) : boost::asio::const_buffer{}};
  sending_ = true;
  auto sent = [self = shared_from_this(), head, body](const boost::system::error_code& ec, std::size_t) {
    self->sending_ = false;
    if (self->user_ != nullptr) self->user_->on_sent(ec);
  };
  if (tls_) {
    boost::asio::async_write(*tls_, buffers, std::move(sent));
  } else {
    boost::asio::async_write(*plain_, buffers, std::move(sent));
  }
}

void upstream_socket::read(std::size_t limit) {
  if (reading_ || closed_) return;
  reading_ = true;
  const auto size = std::min(limit, read_size_);
  const auto room = boost::asio::buffer(in_.prepare(size), size);
  auto came = [self = shared_from_this(), size](const boost::system::error_code& ec, std::size_t n) {
    self->reading_ = false;
    if (self->closed_) return;
    self->in_.commit(n);
    // A read that filled its room had more to take: fewer, larger reads for those who send much.
    if (n == size && size == self->read_size_) self->read_size_ = std::min(size * 2, largest_read_size);
    if (self->user_ != nullptr) self->user_->on_read(ec);
  };
  if (tls_) {
    tls_->async_read_some(room, std::move(came));
  } else {
    plain_->async_read_some(room, std::move(came));
  }
}

bool upstream_socket::readable() {
  char byte = 0;
  const auto n = ::recv(lowest().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n >= 0 || errno != EAGAIN || !in_.empty();
}

void upstream_socket::close() {
  user_ = nullptr;
  if (std::exchange(closed_, true)) return;
  resolver_.cancel();
  boost::system::error_code ignored;
  // A half-sent request is of no use to anybody: with a reset its rest is not sent before the end is.
  if (sending_) lowest().set_option(boost::asio::socket_base::linger{true, 0}, ignored);
  lowest().close(ignored);
}

void upstream_socket::rest() {
  read_size_ = first_read_size;
  in_.shrink(first_read_size);
}

}  // namespace llm_proxy
