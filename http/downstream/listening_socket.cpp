#include "http/downstream/listening_socket.hpp"

#include <boost/asio/error.hpp>

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

void listening_socket::open(reactor& home, int descriptor, watcher& owner) {
  home_ = &home;
  owner_ = &owner;
  descriptor_ = descriptor;
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  home.add(descriptor, owner);
}

void listening_socket::close() {
  if (descriptor_ < 0) return;
  // If another process holds the socket too, close(2) alone would leave it in this thread's epoll set.
  home_->remove(descriptor_, *owner_);
  ::close(std::exchange(descriptor_, -1));
}

int listening_socket::accept(boost::system::error_code& ec) {
  while (true) {
    const int accepted = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ec = {};
    if (accepted >= 0) return accepted;
    // A client that has left while it waited (accept(2)) is not worth a word.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      ec = boost::asio::error::would_block;
    } else {
      ec = {errno, boost::system::system_category()};
    }
    return -1;
  }
}

bool listening_socket::somebody_waits() const {
  pollfd listening{descriptor_, POLLIN, 0};
  return ::poll(&listening, 1, 0) == 1;
}

void listening_socket::look_again() {
  home_->again(*owner_, {true, false, false});
}

}  // namespace llm_proxy
