// The bytes of answers that a connection has still to send, in their order.
//
// The bytes that are written in one turn of the I/O thread are collected, so that one system call sends them
// all. They need memory only for a moment, so a connection borrows it from the turn (http/loop/turn.hpp).
#pragma once

#include "http/loop/turn.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace llm_proxy {

class outbox {
 public:
  explicit outbox(turn& turn_of_thread) : turn_{turn_of_thread} {}

  /// Returns the buffer at whose end the next bytes are to be written.
  std::string& end() {
    if (last_.empty() && last_.capacity() < 64) last_ = turn_.borrow();
    return last_;
  }
  /// Adds bytes that live as long as the process, without a copy. Only one such text fits.
  void add_constant(std::string_view bytes);
  bool holds_constant() const { return !constant_.empty(); }

  /// Returns the next bytes to send, as many as lie together; empty if there are none. Until sent() is
  /// called, every call returns the same bytes, or those and more.
  std::string_view front();
  /// Says that the first `n` bytes of front() were sent.
  void sent(std::size_t n);

  std::size_t size() const { return first_.size() - first_sent_ + constant_.size() + last_.size(); }

 private:
  turn& turn_;
  std::string first_;  // being sent
  std::size_t first_sent_ = 0;
  std::string_view constant_;  // the rest of add_constant()'s bytes
  std::string last_;
};

}  // namespace llm_proxy
