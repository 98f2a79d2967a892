// Listening sockets: opened here, or handed over by whoever started the process.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace llm_proxy {

/// A socket listening on `host` (an IP address or localhost) and `port` (0 = any free one). Throws
/// std::runtime_error with a sentence for the operator when it cannot; `option` is where the port comes from.
/// A second listener on the same port fails.
boost::asio::ip::tcp::acceptor open_listener(boost::asio::io_context& io, const std::string& host,
                                             std::uint16_t port,
                                             const std::string& option = "LLM_PROXY__PORT");

/// The descriptor that the environment names by LISTEN_PID and LISTEN_FDS (sd_listen_fds(3)); nullptr: not
/// set. Nothing if there is none, or if it is another process's. Throws std::runtime_error when the two make
/// no sense.
std::optional<int> inherited_descriptor(const char* listen_pid, const char* listen_fds, pid_t own_pid);

/// The same from this process's environment, and takes it out there: children must not think it is theirs.
std::optional<int> take_inherited_descriptor();

/// A listener on an inherited descriptor. Throws std::runtime_error when that is no listening TCP socket.
boost::asio::ip::tcp::acceptor adopt_listener(boost::asio::io_context& io, int descriptor);

/// Makes a listening socket drop further connection attempts, without touching those under way or waiting to
/// be accepted. Not for a socket that another process listens on too.
void refuse_newcomers(int descriptor);

}  // namespace llm_proxy
