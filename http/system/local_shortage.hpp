// Failures of this machine, not of the peer: no descriptor, port or memory is left.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <exception>

namespace llm_proxy {

/// True for the errors of socket(2), connect(2), epoll_ctl(2), getaddrinfo(3) and pthread_create(3) that say
/// that this process or its machine has run out of something.
bool is_local_shortage(const boost::system::error_code& ec);

/// Returns the error of opening a descriptor if none can be opened at the moment, else `ec`. Libraries that
/// open files (the resolver, TLS's certificate store) report "not found" when they run out of descriptors.
boost::system::error_code or_shortage(const boost::system::error_code& ec);

/// Returns the error to report when connect(2) to `peer` failed with `ec`. EADDRNOTAVAIL has two meanings. If
/// every local port is in use, this is a local shortage. If this machine has no address of that kind at all
/// (IPv6 is off), it is not a shortage, and the error becomes network_unreachable.
boost::system::error_code connect_error(const boost::system::error_code& ec,
                                        const boost::asio::ip::tcp::endpoint& peer);

/// Returns the error that an exception of Asio or of the standard library stands for; `fault` for any other
/// exception.
boost::system::error_code error_of(const std::exception_ptr& thrown);

}  // namespace llm_proxy
