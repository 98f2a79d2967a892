// Looks host names up on threads of their own: getaddrinfo blocks.
#pragma once

#include "http/loop/reactor.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <functional>
#include <memory>
#include <string>

namespace llm_proxy {

using name_lookup_result = boost::asio::ip::tcp::resolver::results_type;

/// Returns the loopback addresses for localhost and the names below it, which no resolver need be asked for
/// (RFC 6761 §6.3): on a machine without /etc/hosts that would mean to wait for DNS. Returns nothing for
/// other names, or if the port is not a number.
name_lookup_result localhost_addresses(const std::string& host, const std::string& port);

/// Looks `host` up, unless it is localhost, and tells `done` on the thread of `home`. One name is looked up
/// once at a time, anew each time; different ones don't wait for each other. `done` is dropped if that thread
/// has ended; it is destroyed on any thread, so it must not own what belongs to one. A look-up that fails
/// since this process has run out of descriptors, memory or threads says so (is_local_shortage()).
void look_up_name(std::string host, std::string port, std::shared_ptr<thread_inbox> home,
                  std::function<void(const boost::system::error_code&, const name_lookup_result&)> done);

}  // namespace llm_proxy
