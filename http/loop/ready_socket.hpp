// A connected TCP socket of a reactor: what is known of its readiness, and reads and writes that never block.
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

  /// Takes the connected socket `descriptor` over. What happens on it is told to `owner`, who passes it to
  /// note().
  void open(reactor& home, int descriptor, watcher& owner);
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  void close();
  /// Closes by a reset: what was not sent yet never is.
  void reset();
  /// No more is sent (FIN); reading goes on.
  void shutdown_send();

  void note(readiness now) {
    readable_ = readable_ || now.readable;
    ended_ = ended_ || now.ended;
  }
  /// A read may find something: bytes, an end or an error.
  bool readable() const { return readable_; }
  /// Comes back to the owner's on_ready() if there is something to read.
  void look_again();
  /// Comes back to the owner's on_ready() to write, after others have had their turn.
  void write_again();

  /// Reads up to `limit` bytes behind what `in` holds; into the thread's buffer, lent to `in`, when that is
  /// nothing: the caller looks at them and calls `in.keep()`. Sets `ec` to eof at the end, to would_block
  /// when there is nothing to read.
  std::size_t read(byte_buffer& in, std::size_t limit, boost::system::error_code& ec);
  /// Writes `first`, then `second`: as much as the system takes now. would_block: none; on_ready() tells when
  /// there is room again.
  std::size_t write(std::string_view first, std::string_view second, boost::system::error_code& ec);

 private:
  reactor* home_ = nullptr;
  watcher* owner_ = nullptr;
  int descriptor_ = -1;
  bool readable_ = false;
  bool ended_ = false;
};

}  // namespace llm_proxy
