// What a session that answers GET /ui/events holds.
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
  std::optional<std::string> key;                   // requests of keys of this name alone; none: all
  std::vector<std::optional<std::uint64_t>> since;  // by observer: the last end that was told
  std::vector<observed> seen;                       // by observer: of this round
  std::size_t awaited = 0;                          // answers of this round
  unsigned ticks = 0;
  unsigned quiet = 0;  // rounds with nothing to tell
};

}  // namespace llm_proxy
