#include "actors/runtime/io_scheduler.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/mailbox_element.hpp>

#include <stdexcept>

namespace llm_proxy {

namespace {

[[noreturn]] void refuse() {
  // An error is better than a timeout that never comes.
  throw std::logic_error{"this actor system has no clock: use llm_proxy::deadline"};
}

}  // namespace

void no_clock::set_ordinary_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) {
  refuse();
}

void no_clock::set_multi_timeout(time_point, caf::abstract_actor*, caf::atom_value, std::uint64_t) {
  refuse();
}

void no_clock::set_request_timeout(time_point, caf::abstract_actor*, caf::message_id) {
  refuse();
}

void no_clock::schedule_message(time_point, caf::strong_actor_ptr, caf::mailbox_element_ptr) {
  refuse();
}

void no_clock::schedule_message(time_point, caf::group, caf::strong_actor_ptr, caf::message) {
  refuse();
}

caf::actor_system::module* io_scheduler::make(caf::actor_system& system, caf::detail::type_list<>) {
  return new io_scheduler{system};
}

io_scheduler& io_scheduler::of(caf::actor_system& system) {
  return dynamic_cast<io_scheduler&>(system.scheduler());
}

void io_scheduler::start() {
  for (std::size_t i = 0; i < num_workers(); ++i) {
    workers_.push_back(std::make_unique<io_worker>(system(), i));
  }
  for (auto& worker : workers_) worker->start();
}

void io_scheduler::stop() {
  for (auto& worker : workers_) worker->stop();
}

void io_scheduler::enqueue(caf::resumable* job) {
  workers_.front()->exec_later(job);
}

}  // namespace llm_proxy
