// Looks up host names on separate threads, because getaddrinfo blocks.
#pragma once

#include "http/loop/reactor.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <functional>
#include <memory>
#include <string>

namespace llm_proxy {

using name_lookup_result = boost::asio::ip::tcp::resolver::results_type;

/// Returns the loopback addresses for localhost and the names below it. No resolver need be asked for them
/// (RFC 6761 §6.3); on a machine without /etc/hosts that would mean waiting for DNS. Returns an empty result
/// for other names, or if the port is not a number.
name_lookup_result localhost_addresses(const std::string& host, const std::string& port);

/// Looks up `host`, unless it is localhost, and calls `done` on the thread of `home`. Look-ups of one name
/// run one after the other, and nothing is cached; different names do not wait for each other. `done` is
/// dropped if that thread has ended. It may be destroyed on any thread, so it must not own what belongs to
/// one. If a look-up fails because this process has run out of descriptors, memory or threads, its error says
/// so (is_local_shortage()).
void look_up_name(std::string host, std::string port, std::shared_ptr<thread_inbox> home,
                  std::function<void(const boost::system::error_code&, const name_lookup_result&)> done);

}  // namespace llm_proxy
