// What the acceptor that listens does when connections or descriptors run short: it asks the acceptors of all
// threads, itself first, to close an idle connection. No connection is closed as long as no client waits. If
// no connection is idle, new clients wait in the system's backlog.
#include "actors/service/acceptor.hpp"

#include <algorithm>
#include <numeric>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

using namespace std::chrono_literals;

/// The pauses before the next try when no acceptor could make room.
constexpr auto pause_when_full = 10ms;
constexpr auto pause_without_descriptors = 100ms;
/// After this many pauses in a row in which no client waited, the shortage counts as over.
constexpr unsigned quiet_pauses = 100;
/// The log reports evictions at most this often, because any client can cause them.
constexpr auto between_eviction_lines = 60s;

/// Returns whether the process can open another socket.
bool has_descriptor() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor >= 0;
}

}  // namespace

/// The acceptors to ask, one after the other, until one of them has closed a connection.
struct acceptor_state::room_search {
  struct step {
    acceptor_actor whom;
    bool used_too;
  };
  shortage lack;
  std::vector<step> steps;
  std::size_t next = 0;
};

room_made acceptor_state::close_longest_idle(const make_room& order) {
  bool closed_one = false;
  survives("acceptor", "making room", [&] { closed_one = idle_.close_longest(order.used_too); });
  if (closed_one) ++options_.context->counted->connections_evicted;
  return {closed_one};
}

bool acceptor_state::is_full() const {
  std::size_t open = 0;
  for (const auto& count : *options_.counts) open += count.load(std::memory_order_relaxed);
  return open >= options_.max_connections;
}

acceptor_state::shortage acceptor_state::lacks() const {
  if (is_full()) return shortage::connections;
  if (paused_for_ == shortage::descriptors && !has_descriptor()) return shortage::descriptors;
  return paused_for_ == shortage::unknown ? shortage::unknown : shortage::none;
}

std::string acceptor_state::words_for(shortage lack) const {
  switch (lack) {
    case shortage::connections:
      return "MAX_CONNECTIONS (" + std::to_string(options_.max_connections) + ") are open";
    case shortage::descriptors:
      return "all file descriptors are in use (LimitNOFILE, ulimit -n)";
    default:
      return "accepting failed";
  }
}

/// Called when no connection can be accepted. An idle connection is closed only once a client waits for its
/// place.
void acceptor_state::await_room(shortage lack) {
  if (paused_for_ == shortage::none) {
    await_newcomer();
  } else if (listener_.somebody_waits()) {
    quiet_pauses_ = 0;
    make_room_for(lack);
  } else if (++quiet_pauses_ < quiet_pauses) {
    pause(lack, {});
  } else {
    accept_again();
    await_newcomer();
  }
}

void acceptor_state::await_newcomer() {
  next_client_ = next_client::needs_room;
  listener_.look_again();  // a client that has come already is not told of again
}

void acceptor_state::on_newcomer() {
  const bool done = survives("acceptor", "making room", [&] {
    if (listener_.is_open() && is_full())
      make_room_for(shortage::connections);
    else
      accept_next();
  });
  if (!done) pause(shortage::unknown, "an exception");
}

/// Connections that never had a request are closed first, on whatever thread they are. Among the threads,
/// this one is asked first, then the others, from the one with the most connections to the one with the
/// fewest.
void acceptor_state::make_room_for(shortage lack) {
  next_client_ = next_client::ignored;
  const auto& counts = *options_.counts;
  // Any closed connection frees a descriptor, but only one that is counted here frees a place.
  std::vector<std::size_t> order(lack == shortage::descriptors ? all_.size()
                                                               : std::min(all_.size(), counts.size()));
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto open = [&](std::size_t i) {
    return i < counts.size() ? counts[i].load(std::memory_order_relaxed) : 0;
  };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    if (a == home_->index() || b == home_->index()) return a == home_->index() && b != a;
    return open(a) > open(b);
  });
  auto search = std::make_shared<room_search>();
  search->lack = lack;
  for (const bool used_too : {false, true}) {
    for (const auto i : order) search->steps.push_back({all_[i], used_too});
  }
  ask_for_room(search);
}

void acceptor_state::ask_for_room(const std::shared_ptr<room_search>& search) {
  if (!listener_.is_open()) return;
  if (search->next == search->steps.size()) {
    pause(search->lack, words_for(search->lack));
    return;
  }
  const auto& step = search->steps[search->next++];
  self_->request(step.whom, caf::infinite, make_room{step.used_too})
      .then(
          [this, search](const room_made& made) {
            if (!made.closed_one) {
              ask_for_room(search);
              return;
            }
            note_eviction(search->lack);
            if (!survives("acceptor", "accepting", [&] { accept(); }))
              pause(shortage::unknown, "an exception");
          },
          [this, search](const caf::error&) { ask_for_room(search); });
}

void acceptor_state::note_eviction(shortage lack) {
  ++evictions_;
  const auto now = home_->timers().now();
  if (evictions_told_ && now - *evictions_told_ < between_eviction_lines) return;
  evictions_told_ = now;
  spdlog::warn("{}: {} idle connections closed to make room for others", words_for(lack),
               std::exchange(evictions_, 0));
}

/// Accepts nothing for a while. New clients wait in the system's backlog.
void acceptor_state::pause(shortage lack, const std::string& why) {
  next_client_ = next_client::ignored;
  if (std::exchange(paused_for_, lack) == shortage::none)
    spdlog::error("accepting no connections for now: {}", why);
  pause_->expires_after(lack == shortage::connections ? pause_when_full : pause_without_descriptors);
}

/// Ends the pause only if no client waits. Otherwise the next client might find no room again, and the log
/// would report a shortage for each of them.
void acceptor_state::note_room() {
  if (paused_for_ != shortage::none && !is_full() && !listener_.somebody_waits()) accept_again();
}

void acceptor_state::accept_again() {
  paused_for_ = shortage::none;
  quiet_pauses_ = 0;
  spdlog::info("accepting connections again");
}

}  // namespace llm_proxy
