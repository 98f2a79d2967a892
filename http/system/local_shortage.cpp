#include "http/system/local_shortage.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <new>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace llm_proxy {

namespace {

boost::system::error_code system_error_code(int number) {
  return {number, boost::system::system_category()};
}

/// Whether this machine has an address from which `peer` can be reached. Connecting a UDP socket chooses one
/// and sends nothing. It does not fail for lack of TCP's ports, because UDP has its own.
bool has_source_address(const boost::asio::ip::tcp::endpoint& peer) {
  const int probe = ::socket(peer.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return true;  // not known
  const boost::asio::ip::udp::endpoint target{peer.address(), peer.port()};
  const bool found = ::connect(probe, static_cast<const sockaddr*>(target.data()),
                               static_cast<socklen_t>(target.size())) == 0;
  ::close(probe);
  return found;
}

}  // namespace

bool is_local_shortage(const boost::system::error_code& ec) {
  const bool of_system =
      ec.category() == boost::system::system_category() || ec.category() == boost::system::generic_category();
  if (!of_system) return false;
  switch (ec.value()) {
    case EMFILE:         // descriptors of the process
    case ENFILE:         // descriptors of the machine
    case ENOMEM:         // memory
    case ENOBUFS:        // memory of sockets
    case EADDRNOTAVAIL:  // ports: see connect_error()
    case ENOSPC:         // epoll's watches (epoll_ctl(2))
    case EAGAIN:         // threads (pthread_create(3))
      return true;
    default:
      return false;
  }
}

boost::system::error_code or_shortage(const boost::system::error_code& ec) {
  if (!ec || is_local_shortage(ec)) return ec;
  const int probe = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (probe >= 0) {
    ::close(probe);
    return ec;
  }
  const auto failed = system_error_code(errno);
  return is_local_shortage(failed) ? failed : ec;
}

boost::system::error_code connect_error(const boost::system::error_code& ec,
                                        const boost::asio::ip::tcp::endpoint& peer) {
  if (ec != boost::system::errc::address_not_available || has_source_address(peer)) return ec;
  return boost::asio::error::network_unreachable;
}

boost::system::error_code error_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    return error.code();
  } catch (const std::system_error& error) {
    return system_error_code(error.code().value());
  } catch (const std::bad_alloc&) {
    return boost::asio::error::no_memory;
  } catch (...) {
    return boost::asio::error::fault;
  }
}

}  // namespace llm_proxy
