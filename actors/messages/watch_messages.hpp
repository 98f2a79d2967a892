// What is counted, shown and traced while requests run: observers (GET /ui/events), metrics and the span
// exporter.
#pragma once

#include "actors/messages/access_messages.hpp"
#include "actors/messages/upstream_table.hpp"
#include "http/loop/deadlines.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// At most this many requests are listed at once.
inline constexpr std::size_t max_observed = 500;

/// A request as it is now: its numbers and names, never its content.
struct session_sample {
  std::string id;
  std::string route;
  std::string model;
  std::string key;  ///< its name
  bool stream = false;
  double ms = 0;
  std::optional<double> first_byte_ms;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> tokens;  ///< as soon as upstream has told them
};
struct ended_session {
  session_sample last;
  std::string_view verdict;  ///< a literal
  unsigned status = 0;
};
/// Asks which requests of that thread are in flight, and which ended after `since`; without `since`, none of
/// those.
struct observe {
  std::optional<std::uint64_t> since;
  std::optional<std::string> key = std::nullopt;  ///< only requests of keys with that name; nullopt for all
};
struct observed {
  std::size_t active = 0;
  std::vector<session_sample> requests;
  std::vector<ended_session> ended;
  std::uint64_t missed = 0;  ///< requests of any key that ended and were forgotten
  std::uint64_t last = 0;    ///< the next `since`
};

using observer_actor = caf::typed_actor<
    // Returns at once.
    caf::replies_to<observe>::with<observed>>;

// -- metrics ---------------------------------------------------------------------------

struct metric_counts;
/// Asks what this thread has counted.
struct get_metrics {};
struct metrics_snapshot {
  std::shared_ptr<const metric_counts> block;
};
/// Asks for the text of GET /metrics, summed over all threads.
struct scrape_metrics {
  std::shared_ptr<upstream_table> upstreams;  ///< null in mock mode
};
struct metrics_text {
  /// The scrape counts as unfinished until the last copy of this pointer is gone.
  std::shared_ptr<const std::string> text;
};
/// Sent by an actor to itself, to measure how long messages wait.
struct mailbox_probe {
  steady_clock::time_point sent;
};
struct metrics_peers;
using metrics_actor = caf::typed_actor<
    // Returns a copy of the thread's counts.
    caf::replies_to<get_metrics>::with<metrics_snapshot>,
    // Returns the text. Fails with overloaded while the process writes two scrapes already, and with internal
    // if the actor of another thread is dead.
    caf::replies_to<scrape_metrics>::with<metrics_text>,
    // Counts how long the message waited.
    caf::reacts_to<mailbox_probe>,
    // Learns who the other threads' actors are.
    caf::reacts_to<metrics_peers>,
    // Shows these keys from now on.
    caf::reacts_to<keys_changed>>;
/// The metrics actors of the other threads.
struct metrics_peers {
  std::vector<metrics_actor> others;
};

// -- traces ----------------------------------------------------------------------------

/// A batch of finished spans is complete.
struct export_due {};
/// Export all finished spans now: no more follow.
struct flush_spans {};
/// The spans were exported, or cannot be.
struct spans_flushed {};
using exporter_actor = caf::typed_actor<
    // Exports the batch.
    caf::reacts_to<export_due>,
    // Returns when the last export is over.
    caf::replies_to<flush_spans>::with<spans_flushed>>;

}  // namespace llm_proxy
