// Reports which sockets of one I/O thread are ready: an epoll set of our own that also watches Asio's.
//
// Asio 1.81 tries a recv before it waits, does not ask for EPOLLRDHUP, and needs a buffer for every read that
// waits. With thousands of open streams that would be a system call per event, and most of their memory. Here
// a waiting socket costs neither: it is registered once, edge-triggered, and all sockets of the thread are
// read into one buffer. Asio still does what is not in the path of a chunk: accepting, connecting, TLS and
// timers.
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

/// What has changed on a socket since the last report.
struct readiness {
  bool readable = false;
  bool writable = false;
  bool ended = false;  ///< the peer closed or broke the connection; reads must go on until one says so
};

class watcher {
 public:
  virtual void on_ready(readiness now) = 0;

 protected:
  ~watcher() = default;
};

/// Functions that any thread leaves for an I/O thread. The inbox may outlive the thread.
class thread_inbox {
 public:
  thread_inbox();
  ~thread_inbox();
  thread_inbox(const thread_inbox&) = delete;
  thread_inbox& operator=(const thread_inbox&) = delete;

  /// Runs `task` soon on the thread that the inbox belongs to. The task is dropped if that thread has ended.
  void post(std::function<void()> task);

 private:
  friend class reactor;
  std::vector<std::function<void()>> take();

  int descriptor_;  // an eventfd
  std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
};

/// Not thread-safe, except for inbox().
class reactor {
 public:
  /// `io`: Asio's part of the same thread, which runs from here. A task that another thread posts to it would
  /// not be noticed; such tasks go to inbox().
  explicit reactor(boost::asio::io_context& io);
  ~reactor();
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;

  /// From now on reports to `who` what happens on `descriptor`, once for each change (edge-triggered).
  void add(int descriptor, watcher& who);
  /// Stops the reports. After that the descriptor may be closed.
  void remove(int descriptor, watcher& who);
  /// Reports `what` to `who` in the next round: for a socket that stopped reading although bytes were left,
  /// or stopped writing although there was room.
  void again(watcher& who, readiness what);
  /// Says that an operation of Asio's was started outside of its handlers, so that Asio runs at the end of
  /// the turn.
  void asio_used() { asio_used_ = true; }
  void run_asio_if_used();

  /// Runs one round: waits up to `timeout_ms` (-1: for ever) until something is ready, then reports it.
  /// Reports that an exception prevents follow in the next round. Returns the number of reports.
  std::size_t run_round(int timeout_ms);
  /// Returns when the system last reported ready sockets.
  std::chrono::steady_clock::time_point woke_at() const { return woke_at_; }
  /// Whether a round would find work without waiting for the system.
  bool has_work() const { return asio_used_ || !again_.empty() || next_ < count_; }

  /// Sockets of the thread, TLS and those that are still connecting included.
  std::size_t socket_count() const { return socket_count_; }

  const std::shared_ptr<thread_inbox>& inbox() const { return inbox_; }
  /// The buffer into which all sockets of the thread read, one after the other. Its bytes are valid until the
  /// next read.
  std::span<char> read_buffer() { return {read_buffer_.get(), read_buffer_size}; }

 private:
  friend class counted_socket;
  static constexpr std::size_t read_buffer_size = 64 * 1024;
  static constexpr std::size_t max_events = 64;  // reported in one round

  void tell(const epoll_event& event);
  void run_inbox();

  boost::asio::io_context& io_;
  int epoll_;
  std::chrono::steady_clock::time_point woke_at_ = std::chrono::steady_clock::now();
  std::shared_ptr<thread_inbox> inbox_ = std::make_shared<thread_inbox>();
  std::unique_ptr<char[]> read_buffer_{new char[read_buffer_size]};
  std::array<epoll_event, max_events> events_{};
  std::size_t next_ = 0;  // of events_, to be reported
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

/// A member of a socket: the reactor of its thread counts it until it is closed or destroyed.
class counted_socket {
 public:
  explicit counted_socket(reactor& home) : home_{&home} { ++home_->socket_count_; }
  ~counted_socket() { leave(); }
  counted_socket(const counted_socket&) = delete;
  counted_socket& operator=(const counted_socket&) = delete;

  /// After this the reactor may end before the socket.
  void leave() {
    if (home_ != nullptr) --std::exchange(home_, nullptr)->socket_count_;
  }

 private:
  reactor* home_;
};

}  // namespace llm_proxy
