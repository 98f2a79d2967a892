// Deadlines of one I/O thread: thousands of them in one queue. The thread waits for its sockets no longer
// than until the first of them, so they cost no system call.
//
// Moving a deadline later, the common case (every chunk moves the idle deadline), is one store: the entry
// stays where it is and is looked at again when it comes up.
#pragma once

#include <boost/intrusive/set.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <new>
#include <type_traits>

namespace llm_proxy {

using steady_clock = std::chrono::steady_clock;

class deadlines;

/// What is called at a deadline: a lambda that captures at most one pointer. A std::function would be twice
/// as large, and an open stream has four deadlines.
class deadline_call {
 public:
  template <class Lambda>
  // NOLINTNEXTLINE(google-explicit-constructor): as std::function's
  deadline_call(Lambda lambda)
      : call_{[](const std::byte* kept) { (*std::launder(reinterpret_cast<const Lambda*>(kept)))(); }} {
    static_assert(sizeof(Lambda) <= sizeof(kept_) && alignof(Lambda) <= alignof(void*) &&
                      std::is_trivially_copyable_v<Lambda>,
                  "captures more than a pointer");
    new (kept_.data()) Lambda{lambda};
  }
  void operator()() const { call_(kept_.data()); }

 private:
  alignas(void*) std::array<std::byte, sizeof(void*)> kept_;
  void (*call_)(const std::byte* kept);
};

/// A point in time at which `on_expiry` is called once, on the thread of its `deadlines`. Not thread-safe.
class deadline : public boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
 public:
  deadline(deadlines& owner, deadline_call on_expiry);
  ~deadline();
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;

  /// Sets the deadline to `timeout` from now.
  /// A timeout of 0 or less cancels it (options use 0 for off).
  void expires_after(steady_clock::duration timeout);
  /// Sets the deadline to `when`, in place of an earlier setting.
  void expires_at(steady_clock::time_point when);
  void cancel() { due_ = never; }
  bool armed() const { return due_ != never; }
  /// Returns the time until it is due. To be called only while it is armed.
  std::chrono::milliseconds left() const;

 private:
  friend class deadlines;
  static constexpr auto never = steady_clock::time_point::max();

  deadlines& owner_;
  deadline_call on_expiry_;
  steady_clock::time_point due_ = never;     // when it really is due
  steady_clock::time_point queued_ = never;  // where it stands in the owner's queue; never = not in it
};

/// The queue, ordered by time. Whoever runs the thread's sockets asks it how long to wait, and calls
/// run_due() after each round.
class deadlines {
 public:
  deadlines() = default;
  deadlines(const deadlines&) = delete;
  deadlines& operator=(const deadlines&) = delete;

  /// Returns for how many milliseconds nothing will be due, rounded up, as a timeout of epoll_wait(2): 0 if
  /// something is due, -1 if nothing is queued.
  int timeout_ms() const;
  /// Calls what is due at `when`, a recent reading of the clock. Returns the number of calls.
  std::size_t run_due(steady_clock::time_point when);

  steady_clock::time_point now() const { return steady_clock::now() + moved_; }
  /// For tests: moves this thread's time on by `duration`, and calls what is due by then.
  void advance(steady_clock::duration duration);

 private:
  friend class deadline;
  struct earlier {
    bool operator()(const deadline& a, const deadline& b) const { return a.queued_ < b.queued_; }
  };

  void enqueue(deadline& entry, steady_clock::time_point when);
  void remove(deadline& entry);

  boost::intrusive::multiset<deadline, boost::intrusive::compare<earlier>> queue_;  // no node to allocate
  steady_clock::duration moved_{0};
};

}  // namespace llm_proxy
