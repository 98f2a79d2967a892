#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <string>

namespace llm_proxy {

/// A socket listening on `host` (an IP address or localhost) and `port` (0 = any free one). Throws
/// std::runtime_error with a sentence for the operator when it cannot. A second listener on the same port
/// fails.
boost::asio::ip::tcp::acceptor open_listener(boost::asio::io_context& io, const std::string& host,
                                             std::uint16_t port);

}  // namespace llm_proxy
