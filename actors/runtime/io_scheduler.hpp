// CAF's scheduler, replaced by one whose workers are the I/O threads (design: docs/architecture.md,
// "Threads").
#pragma once

#include "actors/runtime/io_worker.hpp"

#include <caf/actor_clock.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace llm_proxy {

/// A clock that does nothing: timeouts are kept in `deadlines`, each on its own thread. CAF's default clock
/// is a thread of its own, to which the exit of every actor would post.
class no_clock final : public caf::actor_clock {
 public:
  /// Every resumed actor asks for the time, for the credit of CAF's own streams, which are not used here.
  time_point now() const noexcept override { return {}; }
  void set_ordinary_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) override;
  void set_multi_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) override;
  void set_request_timeout(time_point, caf::abstract_actor*, caf::message_id) override;
  void cancel_ordinary_timeout(caf::abstract_actor*, caf::atom_value) override {}
  void cancel_request_timeout(caf::abstract_actor*, caf::message_id) override {}
  void cancel_timeouts(caf::abstract_actor*) override {}
  void schedule_message(time_point, caf::strong_actor_ptr, caf::mailbox_element_ptr) override;
  void schedule_message(time_point, caf::group, caf::strong_actor_ptr, caf::message) override;
  void cancel_all() override {}
};

/// Load with `actor_system_config::load<io_scheduler>()`; threads = `scheduler.max-threads`.
class io_scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  using abstract_coordinator::abstract_coordinator;

  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>);

  /// The scheduler of `system`, which must have been configured with this module.
  static io_scheduler& of(caf::actor_system& system);

  std::size_t size() const { return workers_.size(); }
  io_worker& worker(std::size_t index) { return *workers_[index]; }

  void start() override;
  void stop() override;
  /// Queues the few actors that CAF spawns itself. They live on the first thread.
  void enqueue(caf::resumable* job) override;
  caf::actor_clock& clock() noexcept override { return clock_; }

 private:
  std::vector<std::unique_ptr<io_worker>> workers_;
  no_clock clock_;
};

}  // namespace llm_proxy
