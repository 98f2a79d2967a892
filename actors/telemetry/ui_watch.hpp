// The state of a session that answers GET /ui/events.
#pragma once

#include "actors/messages/messages.hpp"
#include "http/loop/deadlines.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

struct ui_watch {
  ui_watch(deadlines& timers, deadline_call on_tick, std::size_t observers)
      : tick{timers, on_tick}, since(observers), seen(observers) {}

  deadline tick;
  std::optional<std::string> key;                   // only requests of keys with this name; nullopt for all
  std::vector<std::optional<std::uint64_t>> since;  // by observer: the last end that was sent
  std::vector<observed> seen;                       // by observer: the answers of this round
  std::size_t awaited = 0;                          // answers that are still missing in this round
  unsigned ticks = 0;
  unsigned quiet = 0;  // rounds in a row with no request to show
};

}  // namespace llm_proxy
