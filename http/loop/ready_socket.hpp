// A connected TCP socket of a reactor. It knows whether it is ready, and its reads and writes never block.
#pragma once

#include "http/loop/byte_buffer.hpp"
#include "http/loop/reactor.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <string_view>

namespace llm_proxy {

class ready_socket {
 public:
  ready_socket() = default;
  ~ready_socket() { close(); }
  ready_socket(const ready_socket&) = delete;
  ready_socket& operator=(const ready_socket&) = delete;

  /// Takes over the connected socket `descriptor`. `owner` is told what happens on it, and must pass that to
  /// note().
  void open(reactor& home, int descriptor, watcher& owner);
  /// Takes over the open socket of `from`, on the same thread. From now on `owner` is told what happens on
  /// it, beginning with what it is ready for already.
  void take(ready_socket& from, watcher& owner);
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  void close();
  /// Closes with a reset. Bytes that were not sent yet are lost.
  void reset();
  /// Ends sending with a FIN. Reading goes on.
  void shutdown_send();

  void note(readiness now) {
    readable_ = readable_ || now.readable;
    ended_ = ended_ || now.ended;
  }
  /// Whether a read may find something: bytes, the end or an error.
  bool readable() const { return readable_; }
  /// For a socket that is not read with read(): sets what readable() returns.
  void set_readable(bool readable) { readable_ = readable; }
  /// Calls the owner's on_ready() again if there is something to read.
  void look_again();
  /// Calls the owner's on_ready() again for writing, after other sockets have had their turn.
  void write_again();

  /// Reads up to `limit` bytes and appends them to `in`. If `in` is empty, they are read into the thread's
  /// buffer, which is lent to `in`; the caller must call `in.keep()` after it has looked at them. Sets `ec`
  /// to eof at the end, and to would_block if there is nothing to read.
  std::size_t read(byte_buffer& in, std::size_t limit, boost::system::error_code& ec);
  /// Writes `first`, then `second`, as much as the system takes now. Sets `ec` to would_block if it takes
  /// nothing; on_ready() says when there is room again.
  std::size_t write(std::string_view first, std::string_view second, boost::system::error_code& ec);

 private:
  reactor* home_ = nullptr;
  watcher* owner_ = nullptr;
  int descriptor_ = -1;
  bool readable_ = false;
  bool ended_ = false;
};

}  // namespace llm_proxy
