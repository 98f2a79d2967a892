// One connection to bench_upstream, and what of its answer is broken on purpose.
#pragma once

#include "wire.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

enum class fault : uint8_t {
  none,
  skip,
  twice,
  swap,
  corrupt,
  wrong_id,
  no_stop,
  no_done,
  no_zero,
  cut,
  reset,
  bad_chunk,
  stall,
  status
};
inline constexpr std::string_view fault_names[] = {"none",     "skip",      "twice",   "swap",    "corrupt",
                                                   "wrong_id", "no_stop",   "no_done", "no_zero", "cut",
                                                   "reset",    "bad_chunk", "stall",   "status"};

/// Both texts of a stream's events, framed as HTTP chunks.
struct event_texts {
  text_with_holes more, last;
};

enum class phase : uint8_t { reading, waiting, streaming };

struct connection {
  int fd = -1;
  phase now = phase::reading;
  bool watches_output = false;
  bool closes = false;    // after the answer
  bool taking = false;    // inside take_request: `in` still starts with the request being answered
  bool in_ready = false;  // queued for another turn of unpaced sending
  fault broken = fault::none;
  std::string in;   // received, not yet handled
  std::string out;  // to be sent, not yet taken by the socket
  const event_texts* texts = nullptr;
  uint64_t id = 0, seq = 0, count = 0, batch = 1, answer_bytes = 0;
  uint64_t period = 0;  // ns; 0 = unpaced
  uint64_t due = 0;
  connection* next = nullptr;  // in a slot of the wheel
  connection* previous = nullptr;
  int64_t slot = -1;
};

}  // namespace bench
