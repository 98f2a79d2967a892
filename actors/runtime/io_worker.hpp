// One I/O thread: its event loop, the actors that live on it, its deadlines and its writes.
//
// An actor's messages and its sockets' handlers run here and nowhere else, one after the other. So a message
// between two actors of the same thread costs a queue push: no lock, no wake-up.
#pragma once

#include "http/loop/crowd.hpp"
#include "http/loop/deadlines.hpp"
#include "http/loop/reactor.hpp"
#include "http/loop/turn.hpp"

#include <boost/asio/io_context.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

namespace llm_proxy {

class io_worker final : public caf::execution_unit {
 public:
  io_worker(caf::actor_system& system, std::size_t index);
  ~io_worker() override;
  io_worker(const io_worker&) = delete;
  io_worker& operator=(const io_worker&) = delete;

  /// Runs `job` in this thread: at the end of the turn when called from it, else as soon as the loop gets to
  /// it.
  void exec_later(caf::resumable* job) override;

  void start();
  /// Ends the loop after the turn at hand and joins the thread; what is left in the queue is released.
  void stop();
  /// Runs in the calling thread what is ready, until nothing is: for tests, instead of start().
  void poll();

  std::size_t index() const { return index_; }
  /// Runs `task` in this thread; may be called from any. What other threads post to io() is not noticed.
  void post(std::function<void()> task) { reactor_.inbox()->post(std::move(task)); }
  boost::asio::io_context& io() { return io_; }
  reactor& sockets() { return reactor_; }
  deadlines& timers() { return deadlines_; }
  turn& writes() { return turn_; }
  /// From the system's call that told of ready sockets to the end of what they caused; of this thread.
  steady_clock::duration longest_turn() const { return longest_turn_; }
  /// The same, and begins anew.
  steady_clock::duration take_longest_turn() { return std::exchange(longest_turn_, {}); }
  /// True if the calling thread is this worker's.
  bool is_current() const;

 private:
  void run();
  void finish_turn();
  void note_turn();
  void run_jobs();

  std::size_t index_;
  boost::asio::io_context io_{1};
  reactor reactor_{io_};
  deadlines deadlines_{io_};
  // Without this a burst of streams would be seen in the RSS for ever.
  crowd sockets_crowd_;
  turn turn_;
  std::deque<caf::resumable*> jobs_;
  std::thread thread_;
  steady_clock::duration longest_turn_{0};
  bool quiet_ = true;  // nothing is left to do but what the system tells next
  bool stopping_ = false;
};

}  // namespace llm_proxy
