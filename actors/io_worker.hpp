// One I/O thread: its event loop, the actors that live on it, its deadlines and its writes.
//
// An actor's messages and its sockets' handlers run here and nowhere else, one after the other. So a message
// between two actors of the same thread costs a queue push: no lock, no wake-up.
#pragma once

#include "http/deadlines.hpp"
#include "http/turn.hpp"

#include <boost/asio/io_context.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <cstddef>
#include <deque>
#include <thread>

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
  boost::asio::io_context& io() { return io_; }
  deadlines& timers() { return deadlines_; }
  turn& writes() { return turn_; }
  /// True if the calling thread is this worker's.
  bool is_current() const;

 private:
  void run();
  void run_ready();
  void finish_turn();
  void run_jobs();

  std::size_t index_;
  boost::asio::io_context io_{1};
  deadlines deadlines_{io_};
  turn turn_;
  std::deque<caf::resumable*> jobs_;
  std::thread thread_;
  std::size_t quiet_turns_ = 0;   // turns left without looking for more ready sockets
  std::size_t quiet_period_ = 1;  // how many of them the next time
  bool stopping_ = false;
};

}  // namespace llm_proxy
