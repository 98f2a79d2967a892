#include "http/downstream_socket.hpp"

namespace llm_proxy {

downstream_socket::downstream_socket(reactor& home, boost::asio::ip::tcp::socket socket, watcher& owner) {
  error_code ignored;
  socket.set_option(boost::asio::ip::tcp::no_delay{true}, ignored);
  socket_.open(home, socket.release(), owner);
}

}  // namespace llm_proxy
