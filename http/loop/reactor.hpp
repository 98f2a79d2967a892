// Readiness of the sockets of one I/O thread: an epoll set of our own that also watches Asio's.
//
// Asio 1.81 tries a recv before it waits, does not ask for EPOLLRDHUP, and wants a buffer for every read that
// waits. For thousands of open streams that is a system call per event and most of their memory. Here a
// waiting socket costs neither: edge-triggered, registered once, read into one buffer of the thread. Asio
// keeps what is not in the path of a chunk: accepting, connecting, TLS, timers.
#pragma once

#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <sys/epoll.h>
#include <utility>
#include <vector>

namespace llm_proxy {

/// What has changed of a socket since it was last told.
struct readiness {
  bool readable = false;
  bool writable = false;
  bool ended = false;  ///< the peer closed or broke the connection: reads must go on until they say so
};

class watcher {
 public:
  virtual void on_ready(readiness now) = 0;

 protected:
  ~watcher() = default;
};

/// Functions for an I/O thread, left there by any thread. Outlives the thread where somebody still holds it.
class thread_inbox {
 public:
  thread_inbox();
  ~thread_inbox();
  thread_inbox(const thread_inbox&) = delete;
  thread_inbox& operator=(const thread_inbox&) = delete;

  /// Runs `task` on the thread that the inbox belongs to, soon. Dropped if that thread has ended.
  void post(std::function<void()> task);

 private:
  friend class reactor;
  std::vector<std::function<void()>> take();

  int descriptor_;  // an eventfd
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
};

/// Not thread-safe, but for inbox().
class reactor {
 public:
  /// `io`: Asio's part of the same thread, run from here. Beware: what another thread posts to it is not
  /// noticed; that is what inbox() is for.
  explicit reactor(boost::asio::io_context& io);
  ~reactor();
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;

  /// Tells `who` from now on what happens on `descriptor`, once for each change (edge-triggered).
  void add(int descriptor, watcher& who);
  /// Nothing is told any more; the descriptor may then be closed.
  void remove(int descriptor, watcher& who);
  /// Tells `who` of `what` in the next round: for one that stopped reading with bytes left, or writing with
  /// room left.
  void again(watcher& who, readiness what);
  /// An operation of Asio's was started outside of its handlers: look after it at the end of the turn.
  void asio_used() { asio_used_ = true; }
  void run_asio_if_used();

  /// One round: waits up to `timeout_ms` (-1: without end) until something is ready, then tells. What an
  /// exception left untold comes in the next round. Returns how many were told.
  std::size_t run_round(int timeout_ms);
  /// When the system last told of ready sockets.
  std::chrono::steady_clock::time_point woke_at() const { return woke_at_; }
  /// True if a round would find work without waiting for the system.
  bool has_work() const { return asio_used_ || !again_.empty() || next_ < count_; }

  /// Sockets of the thread, TLS and those that are still connecting included.
  std::size_t socket_count() const { return socket_count_; }

  const std::shared_ptr<thread_inbox>& inbox() const { return inbox_; }
  /// Where bytes that were just read stand until somebody has looked at them: shared by all sockets of the
  /// thread.
  std::span<char> read_buffer() { return {read_buffer_.get(), read_buffer_size}; }

 private:
  friend class counted_socket;
  static constexpr std::size_t read_buffer_size = 64 * 1024;
  static constexpr std::size_t max_events = 64;  // told in one round

  void tell(const epoll_event& event);
  void run_inbox();

  boost::asio::io_context& io_;
  int epoll_;
  std::chrono::steady_clock::time_point woke_at_ = std::chrono::steady_clock::now();
  std::shared_ptr<thread_inbox> inbox_ = std::make_shared<thread_inbox>();
  std::unique_ptr<char[]> read_buffer_{new char[read_buffer_size]};
  std::array<epoll_event, max_events> events_{};
  std::size_t next_ = 0;  // of events_, to be told
  std::size_t count_ = 0;
  struct reminder {
    watcher* who;
    readiness what;
  };
  std::vector<reminder> again_;
  std::vector<reminder> telling_;  // of again_, in this round
  std::vector<std::function<void()>> tasks_;
  bool asio_used_ = false;
  std::size_t socket_count_ = 0;
};

/// Part of a socket: its thread's reactor counts it until it is closed or gone.
class counted_socket {
 public:
  explicit counted_socket(reactor& home) : home_{&home} { ++home_->socket_count_; }
  ~counted_socket() { leave(); }
  counted_socket(const counted_socket&) = delete;
  counted_socket& operator=(const counted_socket&) = delete;

  /// The reactor may then end before the socket.
  void leave() {
    if (home_ != nullptr) --std::exchange(home_, nullptr)->socket_count_;
  }

 private:
  reactor* home_;
};

}  // namespace llm_proxy
