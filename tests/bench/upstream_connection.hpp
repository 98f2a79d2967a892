// One connection to bench_upstream, and the faults that its answers can have on purpose.
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

/// The two kinds of events of a stream, framed as HTTP chunks.
struct event_texts {
  text_with_holes more, last;
};

enum class phase : uint8_t { reading, waiting, streaming };

struct connection {
  int fd = -1;
  phase now = phase::reading;
  bool watches_output = false;
  bool closes = false;    // it will be closed after the answer
  bool taking = false;    // inside take_request: `in` still begins with the request that is answered
  bool in_ready = false;  // queued for another turn of unpaced sending
  fault broken = fault::none;
  std::string in;   // bytes that were received and not handled yet
  std::string out;  // bytes that the socket has not accepted yet
  const event_texts* texts = nullptr;
  uint64_t id = 0, seq = 0, count = 0, batch = 1, answer_bytes = 0;
  uint64_t period = 0;  // ns; 0 = unpaced
  uint64_t due = 0;
  connection* next = nullptr;  // in the same slot of the wheel
  connection* previous = nullptr;
  int64_t slot = -1;
};

}  // namespace bench
