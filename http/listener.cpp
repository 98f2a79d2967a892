#include "http/listener.hpp"

#include <boost/asio/ip/address.hpp>

#include <stdexcept>

namespace llm_proxy {

boost::asio::ip::tcp::acceptor open_listener(boost::asio::io_context& io, const std::string& host,
                                             std::uint16_t port) {
  using boost::asio::ip::tcp;
  const auto where = host + ":" + std::to_string(port);
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
  if (ec) throw std::runtime_error{"LLM_PROXY__HOST: '" + host + "' is not an IP address"};
  const tcp::endpoint endpoint{address, port};
  tcp::acceptor acceptor{io};
  const auto check = [&](const char* what) {
    if (ec) throw std::runtime_error{std::string{what} + " " + where + ": " + ec.message()};
  };
  acceptor.open(endpoint.protocol(), ec);
  check("cannot open a socket for");
  // Only past connections in TIME_WAIT are overlooked by this; a live listener is not.
  acceptor.set_option(tcp::acceptor::reuse_address{true}, ec);
  acceptor.bind(endpoint, ec);
  if (ec == boost::asio::error::address_in_use) {
    throw std::runtime_error{"cannot listen on " + where +
                             ": the port is in use (LLM_PROXY__PORT sets another)"};
  }
  check("cannot listen on");
  acceptor.listen(4096, ec);
  check("cannot listen on");
  return acceptor;
}

}  // namespace llm_proxy
