// The load generator: connections that send requests, the check of every byte of the answers, and the
// counters.
#pragma once

#include "load_options.hpp"
#include "measure.hpp"
#include "wire.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

inline constexpr uint64_t stall_ns = 100'000'000;

// ---- the ways in which an answer can be wrong

enum class wrong : uint8_t {
  connect,
  send,
  reset,
  closed_early,
  timeout,
  status,
  head,
  framing,
  content_type,
  extra_bytes,
  event_text,
  event_id,
  event_order,
  event_after_end,
  error_event,
  no_stop,
  no_done,
  incomplete,
  answer_text,
  answer_id,
  service_gone,
  count_
};
inline constexpr const char* wrong_names[] = {
    "connect",     "send",     "reset",       "closed_early",    "timeout",
    "status",      "head",     "framing",     "content_type",    "extra_bytes",
    "event_text",  "event_id", "event_order", "event_after_end", "error_event",
    "no_stop",     "no_done",  "incomplete",  "answer_text",     "answer_id",
    "service_gone"};
static_assert(std::size(wrong_names) == static_cast<size_t>(wrong::count_));

// ---- one connection

enum class part : uint8_t { head, counted, chunk_size, chunk_data, chunk_end, trailer, whole };
enum class state : uint8_t { unused, connecting, idle, asking, reading, retiring };

struct connection {
  int fd = -1;
  state now = state::unused;
  part at = part::head;
  bool watches_output = false;
  bool closes = false;      // the answer said connection: close
  bool opening = false;     // counted in opening_
  bool first_seen = false;  // the stream's first event has arrived, so it counts in streams_open_
  bool has_done = false;    // [DONE] has arrived
  uint64_t id = 0;
  uint64_t next_seq = 0;
  uint64_t events = 0;  // how many were requested; 0 before the first request
  uint64_t rest = 0;    // bytes of the chunk or body that have not arrived
  uint64_t asked = 0, progress = 0;
  uint64_t retry_at = 0;
  std::string line;     // an incomplete head or chunk-size line
  std::string payload;  // an incomplete event or answer
  std::string out;      // bytes of the request that the socket has not accepted yet
};

class load {
 public:
  explicit load(options o);
  /// Returns the exit code: 0 all answers were right, 1 some were wrong, 3 the target cannot be reached.
  int run();

 private:
  void loop_until(uint64_t deadline, auto condition);
  void turn(uint64_t until);
  void check_timeouts(uint64_t now);
  void start(connection& c);
  void connected(connection& c);
  void ask(connection& c);
  void flush(connection& c);
  void on_readable(connection& c);
  // load_answers.cpp
  bool consume(connection& c, const char* p, const char* end);
  bool take_head(connection& c, std::string_view head);
  bool take_payload(connection& c, const char* p, size_t n);
  bool take_event(connection& c, std::string_view event);
  bool finish_answer(connection& c);
  bool finish_stream(connection& c);
  // load.cpp again
  void opened(connection& c);
  void after_answer(connection& c);
  bool fail(connection& c, wrong why);
  void drop(connection& c);
  void watch(connection& c, bool output);
  void open_window(uint64_t now);
  void close_window(uint64_t now);
  void print(uint64_t settle_ns);  // load_report.cpp
  bool streaming() const { return options_.kind != scenario::requests; }

  options options_;
  sockaddr_in address_{};
  text_with_holes event_, last_event_, answer_;
  std::string request_;
  size_t request_id_at_ = 0, request_count_at_ = 0;
  int epoll_ = -1;
  std::vector<std::unique_ptr<connection>> connections_;
  std::vector<connection*> retries_;
  std::vector<connection*> unused_;  // hold: not opened yet
  size_t opening_ = 0;               // hold: opened, and no event has arrived yet
  size_t streams_open_ = 0;          // the first event has arrived, and the end has not
  size_t peak_open_ = 0;
  uint64_t next_id_ = 1;
  uint64_t next_check_ = 0;
  uint64_t arrival_ = 0;  // when the bytes that are being checked were read
  bool issuing_ = true;
  bool measuring_ = false;
  bool ever_connected_ = false;

  std::array<uint64_t, static_cast<size_t>(wrong::count_)> wrongs_{};
  std::vector<std::string> samples_;
  uint64_t all_answers_ = 0, all_events_ = 0, connects_ = 0, idle_closes_ = 0, abandoned_ = 0, stalls_ = 0,
           stalls_outside_ = 0;
  uint64_t answers_ = 0, events_ = 0, bytes_ = 0, reads_ = 0, turns_ = 0;  // in the window
  histogram latency_, first_event_, event_latency_;
  uint64_t window_begin_ = 0, window_end_ = 0;
  uint64_t cpu_ = 0, own_cpu_ = 0, reference_cpu_ = 0;
  std::pair<uint64_t, uint64_t> ticks_;
  machine_ticks machine_;
  footprint before_, during_, after_;
  std::array<char, 262144> buffer_{};
};

}  // namespace bench
