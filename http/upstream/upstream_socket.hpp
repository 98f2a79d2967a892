// One socket to an upstream, with or without TLS, and the bytes read from it. It knows nothing of HTTP.
#pragma once

#include "http/loop/byte_buffer.hpp"
#include "http/loop/name_lookup.hpp"
#include "http/loop/reactor.hpp"
#include "http/tls/transport_socket.hpp"
#include "http/upstream/upstream_address.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llm_proxy {

/// Is told what happens on the socket: its call, or while it is idle the connections that are kept.
class upstream_socket_user {
 public:
  virtual void on_connected(const boost::system::error_code& ec) = 0;
  /// The request was sent, or could not be.
  virtual void on_sent(const boost::system::error_code& ec) = 0;
  /// Bytes came into input(), or the peer closed (eof) or broke the connection.
  virtual void on_read(const boost::system::error_code& ec) = 0;

 protected:
  ~upstream_socket_user() = default;
};

class upstream_socket final : private watcher, public std::enable_shared_from_this<upstream_socket> {
 public:
  /// `home`: the reactor of the thread. `tls`: the context for https addresses, nullptr for http. Both
  /// outlive the socket.
  upstream_socket(reactor& home, SSL_CTX* tls);

  void use(upstream_socket_user* user) { user_ = user; }
  /// Looks the name up, tries each of its addresses in turn, and makes the TLS handshake, if any. Then
  /// on_connected().
  void connect(const upstream_address& address);
  ~upstream_socket();
  /// Returns for the log what `ec` means, which on_connected() or the first read reported. To be called
  /// before close().
  std::string explain(const boost::system::error_code& ec) const;
  /// Sends head and body in one go. Both stay alive until on_sent().
  void send(std::shared_ptr<const std::string> head, std::shared_ptr<const std::string> body);
  /// Reads once, at most `limit` bytes, now or as soon as bytes arrive. Only one read may be pending.
  void read(std::size_t limit);
  /// Whether bytes, or the end of the connection, have arrived and were not read yet.
  bool readable();
  /// Whether the peer cannot have received any byte of the last send(), given the end of the connection that
  /// a read reported as `how`. upstream_socket.cpp says what proves it.
  bool nothing_received(const boost::system::error_code& how);
  byte_buffer& input() { return in_; }
  /// Forgets the user and closes at once, with a reset if a request is being sent. A TLS peer gets no
  /// close_notify, because the request is over or was given up.
  void close();
  bool closed() const { return closed_; }
  /// Frees the memory that a waiting connection does not need.
  void rest();

 private:
  struct connect_attempt;

  void on_ready(readiness now) override;
  void begin_connect(const upstream_address& address);
  void connect_to(const name_lookup_result& endpoints);
  void try_next();
  void on_attempt_ended();
  void tell_later(const boost::system::error_code& ec);
  void start_tls();
  void shake_hands();
  void connected(const boost::system::error_code& ec);
  void send_rest();
  void sent(const boost::system::error_code& ec);
  void read_now();

  reactor& home_;
  counted_socket counted_;
  SSL_CTX* tls_context_;
  std::string host_;                             // the upstream's, as it was given
  std::unique_ptr<connect_attempt> connecting_;  // null once TCP is connected
  transport_socket socket_;
  upstream_socket_user* user_ = nullptr;
  byte_buffer in_;
  std::size_t wanted_ = 0;  // the limit of the pending read; 0 if there is none
  std::shared_ptr<const std::string> head_;
  std::shared_ptr<const std::string> body_;
  std::size_t sent_bytes_ = 0;          // of head and body
  std::uint64_t tls_bytes_before_ = 0;  // bytes that TLS had written before the last send()
  bool reset_in_send_ = false;          // a write of the last send() found the connection reset
  bool sending_ = false;
  bool closed_ = false;
};

}  // namespace llm_proxy
