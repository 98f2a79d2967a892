// An accepted socket on its way to the acceptor of another thread.
#pragma once

#include "http/system/owned_descriptor.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Connections per thread: written by each thread's acceptor, read by the one that listens.
using connection_counts = std::vector<std::atomic<std::size_t>>;

/// A socket that counts among the connections of its thread from the moment of its construction, so that the
/// choice of a thread for the next accepted socket takes it into account. The destructor closes the socket
/// and takes it off the count.
class handed_over_socket {
 public:
  handed_over_socket(std::shared_ptr<connection_counts> counts, std::size_t thread)
      : counts_{std::move(counts)}, thread_{thread} {
    (*counts_)[thread_].fetch_add(1, std::memory_order_relaxed);
  }
  ~handed_over_socket() {
    if (counts_) (*counts_)[thread_].fetch_sub(1, std::memory_order_relaxed);
  }
  handed_over_socket(const handed_over_socket&) = delete;
  handed_over_socket& operator=(const handed_over_socket&) = delete;

  /// Takes ownership of `descriptor`. Must not be called while it holds a socket.
  void hold(int descriptor) { socket_.hold(descriptor); }
  int get() const { return socket_.get(); }
  /// Returns the socket. From now on the caller has to close it and to take it off the count.
  int release() {
    counts_.reset();
    return socket_.release();
  }

 private:
  std::shared_ptr<connection_counts> counts_;
  std::size_t thread_;
  owned_descriptor socket_;
};

}  // namespace llm_proxy
