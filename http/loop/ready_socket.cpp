#include "http/loop/ready_socket.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

/// For a read that appends to bytes which wait for more (half a head).
constexpr std::size_t small_read = 4 * 1024;

constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;

ssize_t send_one(int descriptor, std::string_view bytes) {
  return ::send(descriptor, bytes.data(), bytes.size(), send_flags);
}

ssize_t send_both(int descriptor, std::string_view first, std::string_view second) {
  // The const_cast is safe, because sendmsg does not write to these bytes.
  std::array<iovec, 2> parts{iovec{const_cast<char*>(first.data()), first.size()},
                             iovec{const_cast<char*>(second.data()), second.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(descriptor, &message, send_flags);
}

boost::system::error_code last_error() {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return boost::asio::error::would_block;
  return {errno, boost::system::system_category()};
}

}  // namespace

void ready_socket::open(reactor& home, int descriptor, watcher& owner) {
  home_ = &home;
  owner_ = &owner;
  descriptor_ = descriptor;
  readable_ = ended_ = false;
  home.add(descriptor, owner);
}

void ready_socket::take(ready_socket& from, watcher& owner) {
  from.home_->remove(from.descriptor_, *from.owner_);
  open(*from.home_, std::exchange(from.descriptor_, -1), owner);
}

void ready_socket::close() {
  if (descriptor_ < 0) return;
  home_->remove(descriptor_, *owner_);
  ::close(std::exchange(descriptor_, -1));
}

void ready_socket::reset() {
  if (descriptor_ < 0) return;
  const linger at_once{1, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close();
}

void ready_socket::shutdown_send() {
  if (descriptor_ >= 0) ::shutdown(descriptor_, SHUT_WR);
}

void ready_socket::look_again() {
  if (readable_) home_->again(*owner_, {true, false, false});
}

void ready_socket::write_again() {
  home_->again(*owner_, {false, true, false});
}

std::size_t ready_socket::read(byte_buffer& in, std::size_t limit, boost::system::error_code& ec) {
  const auto lent = home_->read_buffer();
  const auto want = std::min(limit, in.empty() ? lent.size() : small_read);
  char* room = in.empty() ? lent.data() : in.prepare(want);
  const auto n = ::recv(descriptor_, room, want, MSG_DONTWAIT);
  const auto got = n > 0 ? static_cast<std::size_t>(n) : 0;
  if (room == lent.data()) {
    in.lend(room, got);
  } else {
    in.commit(got);
  }
  if (n < 0) {
    ec = last_error();
  } else if (n == 0) {
    ec = boost::asio::error::eof;
  } else {
    ec = {};
  }
  // A read that returned less than it could has emptied the socket (epoll(7)), except for an end that came
  // with the bytes.
  if (got < want && !(got > 0 && ended_)) readable_ = false;
  return got;
}

std::size_t ready_socket::write(std::string_view first, std::string_view second,
                                boost::system::error_code& ec) {
  // sendmsg makes the kernel copy and check a vector, so it is used only for two parts.
  const auto n = second.empty() ? send_one(descriptor_, first) : send_both(descriptor_, first, second);
  ec = n < 0 ? last_error() : boost::system::error_code{};
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

}  // namespace llm_proxy
