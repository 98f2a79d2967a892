// The state of a session that answers GET /metrics, until its bytes are sent.
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

  /// The text of the scrape. The scrape keeps its place in the scrape_gate for as long as this pointer lives.
  std::shared_ptr<const std::string> text;
  std::size_t written = 0;  ///< bytes of `text` that were handed to the connection
  deadline look_again;      ///< when to check again whether the client has got everything
  deadline too_late;
};

}  // namespace llm_proxy
