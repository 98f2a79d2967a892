// Gives slots to requests: it grants a slot, lets the session wait for one, or refuses it. There is one for
// the whole service; proxy.cpp spawns it on the first thread, and it lives as long as the process. Sessions
// ask it only if a limit is set.
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
  /// Sessions that wait get an error.
  ~admission_state();

  void begin(self_pointer me, io_worker* worker, admission_options options,
             std::shared_ptr<admission_gauges> shown);
  caf::result<slot_decision> ask(const request_slot& request);
  /// Grants slots that came free, refuses sessions that waited too long, and sets the deadline for the next
  /// one.
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
