// Knows what its thread has counted, which outlives it. One per thread, kept alive by the supervisor; the one
// that a session asks for a scrape asks all the others for copies of their blocks. So no number is shared
// between threads: that is simpler than tables of atomics, and costs a request nothing.
#pragma once

#include "actors/admission.hpp"
#include "actors/messages.hpp"
#include "actors/pinned.hpp"
#include "http/actor_counts.hpp"
#include "http/metrics.hpp"
#include "http/span_queue.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

/// What is counted service-wide, for the parts that a scrape reads where they stand.
struct metrics_sources {
  std::string version;
  std::string commit;  ///< it was built from; empty: unknown
  std::shared_ptr<const std::atomic<std::size_t>> in_flight;
  std::shared_ptr<const admission_gauges> admitted;
  std::shared_ptr<const std::vector<std::atomic<std::size_t>>> connections;  ///< open, by thread
  std::shared_ptr<const actor_counts> actors;
  std::shared_ptr<const span_queue> spans;  ///< null: tracing is off
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
  void tick();
  std::string render(const thread_metrics& all, const upstream_table* upstreams) const;

  self_pointer self_ = nullptr;
  io_worker* home_ = nullptr;
  std::shared_ptr<thread_metrics> counted_;
  metrics_sources sources_;
  std::optional<deadline> tick_;
  unsigned ticks_ = 0;
  double turns_before_ = 0;  // the longest of the last 10 s that are over
};

metrics_actor::behavior_type metrics(metrics_state::self_pointer self, io_worker* home,
                                     std::shared_ptr<thread_metrics> counted, metrics_sources sources,
                                     key_table_ptr keys);

}  // namespace llm_proxy
