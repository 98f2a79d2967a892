// One I/O thread: its event loop, the actors that live on it, its deadlines and its writes.
//
// The messages of an actor and the handlers of its sockets run here and nowhere else, one after the other. So
// a message between two actors of one thread costs a push to a queue, but no lock and no wake-up.
#pragma once

#include "http/loop/crowd.hpp"
#include "http/loop/deadlines.hpp"
#include "http/loop/loop_executor.hpp"
#include "http/loop/reactor.hpp"
#include "http/loop/turn.hpp"

#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

namespace llm_proxy {

class io_worker final : public caf::execution_unit {
 public:
  io_worker(caf::actor_system& system, std::size_t index);
  ~io_worker() override;
  io_worker(const io_worker&) = delete;
  io_worker& operator=(const io_worker&) = delete;

  /// Runs `job` in this thread: at the end of the turn if it is called from this thread, else as soon as the
  /// loop reaches it.
  void exec_later(caf::resumable* job) override;

  void start();
  /// Ends the loop after the current turn and joins the thread. Jobs that are left in the queue are released.
  void stop();
  /// Runs everything that is ready in the calling thread, until nothing is ready. For tests, instead of
  /// start().
  void poll();

  std::size_t index() const { return index_; }
  /// Runs `task` in this thread. May be called from any thread.
  void post(std::function<void()> task) { reactor_.inbox()->post(std::move(task)); }
  reactor& sockets() { return reactor_; }
  deadlines& timers() { return deadlines_; }
  turn& writes() { return turn_; }
  /// What code written for Asio needs of this thread. Made when it is first asked for, because it takes three
  /// descriptors.
  loop_context& asio_context() {
    if (!asio_context_) asio_context_ = std::make_unique<loop_context>(reactor_);
    return *asio_context_;
  }
  /// Returns the longest turn of this thread: the time from the moment when sockets were reported as ready to
  /// the end of everything that they caused.
  steady_clock::duration longest_turn() const { return longest_turn_; }
  /// Returns the same, and starts a new measurement.
  steady_clock::duration take_longest_turn() { return std::exchange(longest_turn_, {}); }
  /// True if the calling thread is this worker's.
  bool is_current() const;

 private:
  void run();
  void finish_turn();
  void note_turn();
  void run_jobs();

  std::size_t index_;
  std::unique_ptr<loop_context> asio_context_;  // outlives what the reactor has still to run
  reactor reactor_;
  deadlines deadlines_;
  // Without this the RSS would stay high for ever after a burst of streams.
  crowd sockets_crowd_;
  turn turn_;
  std::deque<caf::resumable*> jobs_;
  std::thread thread_;
  steady_clock::duration longest_turn_{0};
  bool quiet_ = true;  // nothing is left to do until the system reports something
  bool stopping_ = false;
};

}  // namespace llm_proxy
