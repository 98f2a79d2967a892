// A listening socket of a reactor: it says when clients wait, and takes them one by one.
#pragma once

#include "http/loop/reactor.hpp"

#include <boost/system/error_code.hpp>

namespace llm_proxy {

class listening_socket {
 public:
  listening_socket() = default;
  ~listening_socket() { close(); }
  listening_socket(const listening_socket&) = delete;
  listening_socket& operator=(const listening_socket&) = delete;

  /// Takes the listening socket `descriptor` over. From now on `owner` is told when clients come; one that
  /// was told of before is not told of again.
  void open(reactor& home, int descriptor, watcher& owner);
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  /// Another process may go on listening on the same socket.
  void close();

  /// Takes the client that has waited longest. Returns its socket, which the caller has to close; -1 and
  /// `would_block` if nobody waits, -1 and the reason if accept(2) failed.
  int accept(boost::system::error_code& ec);
  /// Whether a client waits.
  bool somebody_waits() const;
  /// Calls the owner's on_ready() in the next round.
  void look_again();

 private:
  reactor* home_ = nullptr;
  watcher* owner_ = nullptr;
  int descriptor_ = -1;
};

}  // namespace llm_proxy
