// Gives slots to requests, service-wide: grants one, lets the session wait for one, or refuses. One for all
// threads, spawned by proxy.cpp on the first, lives as long as the process. Sessions ask it only where a
// limit is set.
#pragma once

#include "actors/access/admission_book.hpp"
#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>

namespace llm_proxy {

/// For metrics and tests; read on any thread.
struct admission_gauges {
  std::atomic<std::size_t> slots{0};    ///< in use
  std::atomic<std::size_t> waiting{0};  ///< sessions in queues
};

struct admission_state {
  static inline const char* name = "admission";
  using self_pointer = pinned_pointer<admission_actor, admission_state>;
  using promise = caf::typed_response_promise<slot_decision>;

  admission_state() = default;
  /// Those who wait get an error.
  ~admission_state();

  void begin(self_pointer me, io_worker* worker, admission_options options,
             std::shared_ptr<admission_gauges> shown);
  caf::result<slot_decision> ask(const request_slot& request);
  /// Gives out what came free, refuses who waited too long, and sets the clock for the next.
  void settle();
  slot_decision grant(const key_rules_ptr& rules);
  admission_book::time_point now() const { return home->timers().now(); }

  self_pointer self = nullptr;
  io_worker* home = nullptr;
  admission_book book;
  std::unordered_map<admission_book::ticket, promise> waiting;
  std::optional<deadline> expiry;
  std::shared_ptr<admission_gauges> gauges;
};

admission_actor::behavior_type admission(admission_state::self_pointer self, io_worker* home,
                                         admission_options options, std::shared_ptr<admission_gauges> gauges);

}  // namespace llm_proxy
