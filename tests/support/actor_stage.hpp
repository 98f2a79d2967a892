// A stage for actors. The test itself runs the actors of one I/O thread step by step and moves the time by
// hand. Nothing sleeps, and nothing runs unless the test runs it.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/io_scheduler.hpp"
#include "actors/runtime/io_worker.hpp"
#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace llm_proxy::test {

/// A scheduler with one worker that is never started: actor_stage polls it.
class staged_scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  using abstract_coordinator::abstract_coordinator;
  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>) {
    return new staged_scheduler{system};
  }

  void start() override { worker_ = std::make_unique<io_worker>(system(), 0); }
  void stop() override { worker_->stop(); }
  void enqueue(caf::resumable* job) override { worker_->exec_later(job); }
  caf::actor_clock& clock() noexcept override { return clock_; }
  io_worker& worker() { return *worker_; }

 private:
  std::unique_ptr<io_worker> worker_;
  no_clock clock_;
};

/// The result of a request to an actor.
template <class Answer>
struct reply {
  std::optional<Answer> value;
  std::optional<failure> error;
  bool open() const { return !value && !error; }
  errc code() const { return error ? error->code : errc::none; }
};

class actor_stage {
 public:
  actor_stage() {
    config_.load<staged_scheduler>();
    config_.load<caf::id_block::llm_proxy>();
    system_ = std::make_unique<caf::actor_system>(config_);
  }
  ~actor_stage() {
    for (const auto& each : cast_) caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    poll();
    // Otherwise ~actor_system would wait for ever without a message.
    const auto left = system_->registry().running();
    if (left != 0) {
      std::fprintf(stderr, "actor_stage: %zu actors are left when the test ends\n", left);
      std::abort();
    }
  }
  actor_stage(const actor_stage&) = delete;
  actor_stage& operator=(const actor_stage&) = delete;

  caf::actor_system& system() { return *system_; }
  io_worker& home() { return dynamic_cast<staged_scheduler&>(system_->scheduler()).worker(); }

  /// For the test's own sockets, which it reads and writes itself.
  boost::asio::io_context& io() { return io_; }

  /// Runs messages, sockets and writes until nothing is left to do.
  void poll() { home().poll(); }
  /// Moves the time forward. The machine's time also passes, so a test that something has not happened yet
  /// needs a margin.
  void advance(std::chrono::milliseconds time) {
    home().timers().advance(time);
    poll();
  }

  /// Makes `actor` end together with the stage.
  template <class Handle>
  Handle cast(Handle actor) {
    cast_.push_back(caf::actor_cast<caf::strong_actor_ptr>(actor));
    return actor;
  }
  /// Spawns an actor that replaces the real one, on the same thread.
  template <class Handle, class Behavior>
  Handle scripted(Behavior behavior_of) {
    return cast(Handle{system_->spawn([behavior_of](typename Handle::pointer self) ->
                                      typename Handle::behavior_type { return behavior_of(self); })});
  }
  template <class Handle>
  void kill(const Handle& actor) {
    caf::anon_send_exit(actor, caf::exit_reason::kill);
    poll();
  }

  /// Sends a request, and runs everything that can run at once.
  template <class Answer, class Handle, class Message>
  std::shared_ptr<reply<Answer>> ask(const Handle& whom, Message message) {
    auto got = std::make_shared<reply<Answer>>();
    system_->spawn([=](caf::event_based_actor* self) {
      self->request(whom, caf::infinite, message)
          .then([got](Answer& answer) { got->value = std::move(answer); },
                [got](const caf::error& error) { got->error = to_failure(error); });
    });
    poll();
    return got;
  }
  template <class Handle, class Message>
  void tell(const Handle& whom, Message message) {
    caf::anon_send(whom, std::move(message));
    poll();
  }

 private:
  caf::actor_system_config config_;
  boost::asio::io_context io_;
  std::unique_ptr<caf::actor_system> system_;
  std::vector<caf::strong_actor_ptr> cast_;
};

}  // namespace llm_proxy::test
