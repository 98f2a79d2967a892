#include "http/downstream_socket.hpp"

namespace llm_proxy {

downstream_socket::downstream_socket(tcp::socket socket) : socket_{std::move(socket)} {
  error_code ignored;
  socket_.set_option(tcp::no_delay{true}, ignored);
  socket_.non_blocking(true, ignored);
}

void downstream_socket::end_sending() {
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void downstream_socket::reset_on_close() {
  error_code ignored;
  socket_.set_option(boost::asio::socket_base::linger{true, 0}, ignored);
}

void downstream_socket::close() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace llm_proxy
