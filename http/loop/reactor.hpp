// Reports which sockets of one I/O thread are ready: the thread's epoll set.
//
// A socket is registered once, edge-triggered, and all sockets of the thread are read into one buffer. The
// same with Asio (Boost 1.81, async_wait() and one shared buffer) calls epoll_ctl before every wait. In a
// bare relay of events of 180 bytes that took 3.5 % more CPU per event with 64 pairs of sockets and an event
// per 2 ms, 15 % with 1,000 pairs and 20 ms (median of five runs, one core), and 0.2 KiB more per pair. Asio
// also does not ask for EPOLLRDHUP, so a client that leaves would not be noticed while bytes of it are
// unread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
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
  reactor();
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

  /// Runs `task` in the next round, on this thread. Other threads use inbox().
  void soon(std::function<void()> task) { tasks_.push_back(std::move(task)); }

  /// Runs one round: waits up to `timeout_ms` (-1: for ever) until something is ready, then reports it.
  /// Reports that an exception prevents follow in the next round. Returns the number of reports.
  std::size_t run_round(int timeout_ms);
  /// Returns when the system last reported ready sockets.
  std::chrono::steady_clock::time_point woke_at() const { return woke_at_; }
  /// Whether a round would find work without waiting for the system.
  bool has_work() const { return !again_.empty() || !tasks_.empty() || next_ < count_; }

  /// Returns how many counted_socket the thread has: the connections of clients and to upstreams, those
  /// that are still connecting included.
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
  void run_tasks();

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
  std::deque<std::function<void()>> tasks_;
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
