// Gives out the counts of its thread; the counts outlive the actor. There is one per thread; the supervisor
// keeps it alive. The one that a session asks for a scrape asks all the others for copies of their counts. So
// threads share no counter, which is simpler than tables of atomics and costs a request nothing.
//
// The text of a scrape is written from the sum of those copies, one slice at a time, so that requests on the
// same thread do not wait for it. At most two scrapes exist in the process; a third one is refused.
#pragma once

#include "actors/access/admission.hpp"
#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/telemetry/actor_counts.hpp"
#include "http/telemetry/span_queue.hpp"
#include "http/telemetry/thread_metrics.hpp"

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

/// Lets at most two scrapes exist at once. A scrape exists from its first copy of counts until its last byte
/// is sent.
class scrape_gate {
 public:
  static constexpr unsigned most = 2;
  /// Returns a place, which is free again when the last copy of the pointer is gone. Returns null if there
  /// are `most` scrapes. May be called on any thread.
  std::shared_ptr<const void> enter();

 private:
  std::shared_ptr<std::atomic<unsigned>> alive_ = std::make_shared<std::atomic<unsigned>>(0);
};

/// Counts of the whole service, which a scrape reads directly instead of asking for copies.
struct metrics_sources {
  std::string version;
  std::string commit;  ///< that the program was built from; empty if unknown
  std::shared_ptr<const std::atomic<std::size_t>> in_flight;
  std::shared_ptr<const admission_gauges> admitted;
  std::shared_ptr<const std::vector<std::atomic<std::size_t>>> connections;  ///< open, by thread
  std::shared_ptr<const actor_counts> actors;
  std::shared_ptr<const span_queue> spans;  ///< null if tracing is off
  std::shared_ptr<scrape_gate> scrapes = std::make_shared<scrape_gate>();
};

class metrics_state {
 public:
  static inline const char* name = "metrics";
  using self_pointer = pinned_pointer<metrics_actor, metrics_state>;

  void begin(self_pointer self, io_worker* home, std::shared_ptr<thread_metrics> counted,
             metrics_sources sources, key_table_ptr known);
  metrics_snapshot snapshot() const;
  caf::result<metrics_text> scrape(const scrape_metrics& order);
  void on_probe(const mailbox_probe& sent);

  metrics_peers peers;
  key_table_ptr keys;

 private:
  struct scrape_under_way;
  using scrape_ptr = std::shared_ptr<scrape_under_way>;
  void tick();
  void begin_writing(const scrape_ptr& scrape);
  void write_slice();

  self_pointer self_ = nullptr;
  io_worker* home_ = nullptr;
  std::shared_ptr<thread_metrics> counted_;
  metrics_sources sources_;
  std::optional<deadline> tick_;
  std::deque<scrape_ptr> writing_;
  std::optional<deadline> next_slice_;
  unsigned ticks_ = 0;
  double turns_before_ = 0;  // the longest turn of the last complete 10 s
};

metrics_actor::behavior_type metrics(metrics_state::self_pointer self, io_worker* home,
                                     std::shared_ptr<thread_metrics> counted, metrics_sources sources,
                                     key_table_ptr keys);

}  // namespace llm_proxy
