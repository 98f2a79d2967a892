// What a session that answers GET /metrics holds while its bytes leave.
#pragma once

#include "http/loop/deadlines.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace llm_proxy {

struct scrape_answer {
  scrape_answer(deadlines& timers, std::shared_ptr<const std::string> whole, deadline_call on_look_again,
                deadline_call on_too_late)
      : text{std::move(whole)}, look_again{timers, on_look_again}, too_late{timers, on_too_late} {}

  /// The scrape counts among those of the process for as long as this is kept.
  std::shared_ptr<const std::string> text;
  std::size_t written = 0;  ///< bytes of it, given to the connection
  deadline look_again;      ///< whether the client has it all
  deadline too_late;
};

}  // namespace llm_proxy
