#include "actors/runtime/io_worker.hpp"

#include "config/access_log.hpp"
#include "http/system/block_cache.hpp"
#include "http/system/resident_memory.hpp"

#include <caf/scheduler/abstract_coordinator.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace llm_proxy {

namespace {

thread_local const io_worker* current_worker = nullptr;

/// The most rounds of messages and writes in one turn. After them the other sockets get their chance.
constexpr int max_rounds = 16;
constexpr std::size_t max_messages_per_resume = 100;

}  // namespace

io_worker::io_worker(caf::actor_system& system, std::size_t index)
    : execution_unit{&system}, index_{index}, sockets_crowd_{deadlines_, return_free_memory} {}

io_worker::~io_worker() {
  stop();
}

bool io_worker::is_current() const {
  return current_worker == this;
}

void io_worker::exec_later(caf::resumable* job) {
  if (is_current()) {
    jobs_.push_back(job);
  } else {
    post([this, job] { jobs_.push_back(job); });
  }
}

void io_worker::start() {
  thread_ = std::thread{[this] { run(); }};
}

void io_worker::stop() {
  if (thread_.joinable()) {
    post([this] { stopping_ = true; });
    thread_.join();
  }
  // Jobs that were posted after the last turn hold references to their actors.
  reactor_.run_round(0);
  for (auto* job : std::exchange(jobs_, {})) {
    caf::scheduler::abstract_coordinator::cleanup_and_release(job);
  }
}

void io_worker::run() {
  current_worker = this;
  gather_access_log();
  block_cache::begin();
  while (!stopping_) {
    try {
      // The handlers of all sockets that are ready run in one turn, then their actors, stage by stage: the
      // code of a stage stays in the instruction cache from one request to the next.
      turn_.note_ready(reactor_.run_round(quiet_ ? deadlines_.timeout_ms() : 0));
      deadlines_.run_due(reactor_.woke_at());
      finish_turn();
      note_turn();
    } catch (const std::exception& error) {
      // Actors catch their own exceptions. This one came from a socket handler and affects only that socket.
      // The rest of the turn still has to run.
      quiet_ = false;
      spdlog::critical("io thread {}: exception in a handler: {}", index_, error.what());
    }
  }
  finish_turn();
  block_cache::end();
  current_worker = nullptr;
}

void io_worker::poll() {
  current_worker = this;
  std::size_t told = 0;
  do {
    finish_turn();
    told = reactor_.run_round(0);
    turn_.note_ready(told);
    told += deadlines_.run_due(reactor_.woke_at());
  } while (told > 0 || reactor_.has_work() || !jobs_.empty() || !turn_.empty());
  current_worker = nullptr;
}

void io_worker::note_turn() {
  longest_turn_ = std::max(longest_turn_, steady_clock::now() - reactor_.woke_at());
}

void io_worker::finish_turn() {
  quiet_ = false;
  for (int round = 0; round < max_rounds && !quiet_; ++round) {
    run_jobs();
    turn_.run();
    quiet_ = jobs_.empty() && turn_.empty();
  }
  sockets_crowd_.note(reactor_.socket_count());
  flush_access_log();
}

void io_worker::run_jobs() {
  // Jobs that are queued meanwhile run in this call too, but only a limited number of them: an actor that
  // keeps itself busy must not starve the sockets.
  for (auto left = jobs_.size() + 1000; left > 0 && !jobs_.empty(); --left) {
    auto* job = jobs_.front();
    jobs_.pop_front();
    switch (job->resume(this, max_messages_per_resume)) {
      case caf::resumable::resume_later:
        jobs_.push_back(job);
        break;
      case caf::resumable::awaiting_message:
      case caf::resumable::done:
        caf::intrusive_ptr_release(job);
        break;
      case caf::resumable::shutdown_execution_unit:
        break;
    }
  }
}

}  // namespace llm_proxy
