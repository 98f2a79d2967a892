// Actors that stay on the thread on which they were spawned, and the handlers of sockets that belong to an
// actor.
#pragma once

#include "actors/runtime/io_worker.hpp"

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/logger.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace llm_proxy {

/// Returns the text of an exception, for the log.
std::string describe(const std::exception_ptr& thrown);

/// Returns the type of the message that the actor is handling, for the log.
std::string what_it_handles(caf::scheduled_actor& self);

/// A typed actor with state that runs only on its home thread. CAF 0.17 would run the receiver of a message
/// on the sender's worker; here the message is always enqueued at the receiver's home.
template <class Handle, class State>
class pinned : public caf::stateful_actor<State, typename Handle::base> {
 public:
  using super = caf::stateful_actor<State, typename Handle::base>;

  explicit pinned(caf::actor_config& config) : super{config}, home_{dynamic_cast<io_worker*>(config.host)} {
    // CAF's defaults print to stdout.
    this->set_default_handler(
        [](caf::scheduled_actor* self, caf::message_view&) -> caf::result<caf::message> {
          spdlog::error("actor {}: dropped a message it does not know", self->name());
          return caf::sec::unexpected_message;
        });
    this->set_down_handler([](caf::scheduled_actor*, caf::down_msg&) {});
    this->set_error_handler([](caf::scheduled_actor* self, caf::error& error) {
      spdlog::error("actor {}: unhandled error {}", self->name(), self->system().render(error));
      self->quit(std::move(error));
    });
    this->set_exception_handler([](caf::scheduled_actor* self, std::exception_ptr& thrown) -> caf::error {
      spdlog::critical("actor {}: exception while it handled {}: {}", self->name(), what_it_handles(*self),
                       describe(thrown));
      return caf::exit_reason::unhandled_exception;
    });
  }

  using super::enqueue;
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override {
    io_worker* const home = home_;
#if defined(__SANITIZE_THREAD__)
    // The packaged CAF is not instrumented, so ThreadSanitizer cannot see that its mailbox orders what two
    // threads do. Therefore messages of other threads take a way with a lock that it can see.
    if (home != nullptr && !home->is_current()) {
      home->post([self = caf::strong_actor_ptr{this->ctrl()}, this, home,
                  late = std::make_shared<caf::mailbox_element_ptr>(std::move(message))] {
        super::enqueue(std::move(*late), home);
      });
      return;
    }
#endif
    super::enqueue(std::move(message), home != nullptr ? home : unit);
  }

  caf::resumable::resume_result resume(caf::execution_unit* unit, std::size_t max_messages) override {
    running_ = true;
    const auto result = super::resume(unit, max_messages);
    running_ = false;
    return result;
  }

  /// Ends the actor, from a message handler or from the handler of a socket. Outside of a message handler
  /// quit() would not be enough: CAF never runs an actor without a behavior again, not even to clean it up.
  void leave() {
    if (running_) {
      this->quit();
    } else {
      caf::anon_send_exit(this, caf::exit_reason::user_shutdown);
    }
  }

 private:
#if defined(__SANITIZE_THREAD__)
  // It is read before that lock is taken, by a thread to which CAF gave the address of this actor.
  std::atomic<io_worker*> home_;
#else
  io_worker* home_;
#endif
  bool running_ = false;
};

template <class Handle, class State>
using pinned_pointer = pinned<Handle, State>*;

/// Spawns `behavior_of(self, args...)` on `home`.
template <class Behavior, class... Args>
auto spawn_on(caf::actor_system& system, io_worker& home, Behavior behavior_of, Args&&... args) {
  caf::actor_config config{&home};
  auto spawned = system.spawn_functor(std::true_type{}, config, behavior_of, std::forward<Args>(args)...);
  // For its logger, which is off, CAF records under a lock which actor runs, for every message. Each spawn
  // turns that on for its thread; this turns it off again.
  caf::logger::set_current_actor_system(nullptr);
  return spawned;
}

/// Runs the handler of a socket that belongs to the actor `self`, between two of the actor's messages. An
/// exception ends the actor, as it would in a message handler.
template <class Self, class Function>
void enter(Self* self, Function&& function) {
  try {
    std::forward<Function>(function)();
  } catch (...) {
    spdlog::critical("actor {}: exception in a socket handler: {}", self->name(),
                     describe(std::current_exception()));
    caf::anon_send_exit(self, caf::exit_reason::unhandled_exception);
  }
}

/// Runs `work` for an actor that must not die of it: an exception is logged and ends only `work`. Returns
/// false if there was an exception.
template <class Work>
bool survives(const char* actor, const char* phase, Work&& work) {
  try {
    std::forward<Work>(work)();
    return true;
  } catch (...) {
    spdlog::critical("actor {}: exception while {}: {}", actor, phase, describe(std::current_exception()));
    return false;
  }
}

}  // namespace llm_proxy
