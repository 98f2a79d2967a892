// Listening sockets: opened here, or inherited from the process that started this one.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace llm_proxy {

/// Returns a socket that listens on `host` (an IP address or localhost) and `port` (0 = any free one). Throws
/// std::runtime_error with a sentence for the operator if that fails; `option` names the option that sets the
/// port. A second listener on the same port fails.
boost::asio::ip::tcp::acceptor open_listener(boost::asio::io_context& io, const std::string& host,
                                             std::uint16_t port,
                                             const std::string& option = "LLM_PROXY__PORT");

/// Returns the descriptor that the variables LISTEN_PID and LISTEN_FDS (sd_listen_fds(3)) name; nullptr
/// stands for a variable that is not set. Returns nullopt if they name none or are meant for another process.
/// Throws std::runtime_error if they make no sense.
std::optional<int> inherited_descriptor(const char* listen_pid, const char* listen_fds, pid_t own_pid);

/// Does the same with this process's environment and removes the variables from it, so that child processes
/// do not take the descriptor for theirs.
std::optional<int> take_inherited_descriptor();

/// Returns a listener on an inherited descriptor. Throws std::runtime_error if that is not a listening TCP
/// socket.
boost::asio::ip::tcp::acceptor adopt_listener(boost::asio::io_context& io, int descriptor);

/// Makes a listening socket drop new connection attempts. Those that have begun or wait to be accepted are
/// not affected. Must not be used for a socket on which another process listens too.
void refuse_newcomers(int descriptor);

}  // namespace llm_proxy
