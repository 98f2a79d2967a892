#include "http/tls/tls_session.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <sys/socket.h>

namespace llm_proxy {

namespace {

/// Writes to the socket for OpenSSL. OpenSSL's own socket BIO uses write(), which raises SIGPIPE if the
/// client has gone.
int send_quietly(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const int descriptor = *static_cast<const int*>(BIO_get_data(bio));
  const auto n = ::send(descriptor, bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

int receive(BIO* bio, char* room, int size) {
  BIO_clear_retry_flags(bio);
  const int descriptor = *static_cast<const int*>(BIO_get_data(bio));
  const auto n = ::recv(descriptor, room, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (n == 0) errno = 0;  // so that the end can be told from a broken connection
  return static_cast<int>(n);
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* quiet_socket() {
  static const BIO_METHOD* const method = [] {
    auto* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "quiet socket");
    BIO_meth_set_write(made, send_quietly);
    BIO_meth_set_read(made, receive);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

int as_int(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

}  // namespace

void tls_session::prepare(SSL_CTX& context) {
  SSL_CTX_set_mode(&context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(&context, 1);
}

tls_session::tls_session(SSL_CTX& context, int descriptor, tls_side side)
    : descriptor_{descriptor}, ssl_{SSL_new(&context), SSL_free} {
  auto* bio = BIO_new(quiet_socket());
  if (!ssl_ || bio == nullptr) {
    BIO_free(bio);
    broken_ = true;
    return;
  }
  BIO_set_data(bio, &descriptor_);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (side == tls_side::server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

tls_session::outcome tls_session::handshake() {
  if (broken_) return {0, boost::asio::error::no_memory, wait::none};
  ERR_clear_error();
  const auto done = judge(SSL_do_handshake(ssl_.get()));
  shaken_ = done.next == wait::none && !done.ec;
  return done;
}

tls_session::outcome tls_session::read(char* room, std::size_t size) {
  if (broken_) return {0, boost::asio::error::not_connected, wait::none};
  ERR_clear_error();
  return judge(SSL_read(ssl_.get(), room, as_int(size)));
}

tls_session::outcome tls_session::write(std::string_view bytes) {
  if (broken_) return {0, boost::asio::error::not_connected, wait::none};
  ERR_clear_error();
  const auto done = judge(SSL_write(ssl_.get(), bytes.data(), as_int(bytes.size())));
  // If the socket failed, what the peer said before it closed can still be read.
  if (done.ec && done.ec.category() == boost::system::system_category()) broken_ = false;
  return done;
}

tls_session::outcome tls_session::say_goodbye() {
  if (broken_ || SSL_is_init_finished(ssl_.get()) == 0) return {};
  ERR_clear_error();
  const int result = SSL_shutdown(ssl_.get());
  if (result >= 0) return {};
  const auto done = judge(result);
  return {0, {}, done.next == wait::write ? wait::write : wait::none};
}

tls_session::outcome tls_session::judge(int result) {
  if (result > 0) return {static_cast<std::size_t>(result), {}, wait::none};
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {0, {}, wait::read};
    case SSL_ERROR_WANT_WRITE:
      return {0, {}, wait::write};
    case SSL_ERROR_ZERO_RETURN:
      return {0, boost::asio::error::eof, wait::none};
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      reason_ = errno == 0 ? "the peer closed" : "the connection broke";
      if (errno == 0) return {0, boost::asio::error::eof, wait::none};
      return {0, {errno, boost::system::system_category()}, wait::none};
    default:
      break;
  }
  broken_ = true;
  const auto code = ERR_peek_error();
  const auto why = ERR_GET_REASON(code);
  plain_http_ = why == SSL_R_HTTP_REQUEST;
  const char* words = ERR_reason_error_string(code);
  reason_ = words != nullptr ? words : "unknown";
  if (why == SSL_R_CERTIFICATE_VERIFY_FAILED)
    reason_.append(": ").append(X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get())));
  ERR_clear_error();
  if (why == SSL_R_UNEXPECTED_EOF_WHILE_READING) return {0, boost::asio::error::eof, wait::none};
  return {0, {static_cast<int>(code), boost::asio::error::get_ssl_category()}, wait::none};
}

}  // namespace llm_proxy
