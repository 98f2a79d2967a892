#include "http/downstream/listener.hpp"

#include "http/text/text.hpp"

#include <boost/asio/ip/address.hpp>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdexcept>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace llm_proxy {

namespace {

constexpr int first_inherited = 3;  // SD_LISTEN_FDS_START

/// Returns `text` as a number. Throws std::runtime_error if it is anything else or negative.
long number_in(const char* name, const char* text) {
  const auto number = parse_number<long>(text);
  if (!number || *number < 0)
    throw std::runtime_error{std::string{name} + " is set to something that is no number"};
  return *number;
}

int socket_option(int descriptor, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

boost::asio::ip::tcp::acceptor open_listener(boost::asio::io_context& io, const std::string& host,
                                             std::uint16_t port, const std::string& option) {
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
  // This ignores only past connections in TIME_WAIT. If another listener is active, bind() still fails.
  acceptor.set_option(tcp::acceptor::reuse_address{true}, ec);
  acceptor.bind(endpoint, ec);
  if (ec == boost::asio::error::address_in_use) {
    throw std::runtime_error{"cannot listen on " + where + ": the port is in use (" + option +
                             " sets another)"};
  }
  check("cannot listen on");
  acceptor.listen(4096, ec);
  check("cannot listen on");
  return acceptor;
}

std::optional<int> inherited_descriptor(const char* listen_pid, const char* listen_fds, pid_t own_pid) {
  if (listen_fds == nullptr) return std::nullopt;
  const auto count = number_in("LISTEN_FDS", listen_fds);
  if (listen_pid == nullptr) {
    throw std::runtime_error{"LISTEN_FDS is set and LISTEN_PID is not: whose sockets are these?"};
  }
  // They are meant for another process, which did not remove them from its children's environment.
  if (number_in("LISTEN_PID", listen_pid) != own_pid || count == 0) return std::nullopt;
  if (count > 1) {
    throw std::runtime_error{"LISTEN_FDS is " + std::string{listen_fds} +
                             ": only one socket can be listened on"};
  }
  return first_inherited;
}

std::optional<int> take_inherited_descriptor() {
  const auto descriptor =
      inherited_descriptor(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"), getpid());
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return descriptor;
}

boost::asio::ip::tcp::acceptor adopt_listener(boost::asio::io_context& io, int descriptor) {
  using boost::asio::ip::tcp;
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const auto what = "descriptor " + std::to_string(descriptor) + " of LISTEN_FDS ";
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    throw std::runtime_error{what + "is no socket: " + std::strerror(errno)};
  }
  if ((bound.ss_family != AF_INET && bound.ss_family != AF_INET6) ||
      socket_option(descriptor, SO_TYPE) != SOCK_STREAM) {
    throw std::runtime_error{what + "is no TCP socket"};
  }
  if (socket_option(descriptor, SO_ACCEPTCONN) != 1) {
    throw std::runtime_error{what + "does not listen (systemd: Accept=no)"};
  }
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return tcp::acceptor{io, bound.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor};
}

void refuse_newcomers(int descriptor) {
  // Drops segments with SYN (byte 13 of the TCP header holds the flags) and without ACK. A client tries again
  // after a second, and then finds the port closed or another process listening. Sockets accepted from this
  // one inherit the filter without harm, because they get no such segments any more.
  constexpr std::uint16_t load_byte = BPF_LD | BPF_B | BPF_ABS;
  constexpr std::uint16_t mask = BPF_ALU | BPF_AND | BPF_K;
  constexpr std::uint16_t jump_if_equal = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr std::uint16_t give = BPF_RET | BPF_K;
  constexpr std::uint32_t syn = 0x02;
  constexpr std::uint32_t ack = 0x10;
  std::array<sock_filter, 5> code{sock_filter{load_byte, 0, 0, 13}, sock_filter{mask, 0, 0, syn | ack},
                                  sock_filter{jump_if_equal, 0, 1, syn}, sock_filter{give, 0, 0, 0},
                                  sock_filter{give, 0, 0, 0xffffffff}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  // If the filter cannot be set, a connection that comes at the last moment is reset.
  setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

}  // namespace llm_proxy
