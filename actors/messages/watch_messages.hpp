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

/// No more requests than these are listed at once.
inline constexpr std::size_t max_observed = 500;

/// A request as it is now: its numbers and names, never what it says.
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
  std::optional<std::uint64_t> tokens;  ///< once upstream told
};
struct ended_session {
  session_sample last;
  std::string_view verdict;  ///< a literal
  unsigned status = 0;
};
/// What goes on in that thread, and what ended after `since`; none: nothing of that.
struct observe {
  std::optional<std::uint64_t> since;
  std::optional<std::string> key = std::nullopt;  ///< requests of keys of that name alone; none: all
};
struct observed {
  std::size_t active = 0;
  std::vector<session_sample> requests;
  std::vector<ended_session> ended;
  std::uint64_t missed = 0;  ///< that ended, whosever they were, and were forgotten
  std::uint64_t last = 0;    ///< the next `since`
};

//   observe -> observed, at once
using observer_actor = caf::typed_actor<caf::replies_to<observe>::with<observed>>;

// -- metrics ---------------------------------------------------------------------------

struct metric_counts;
/// What has this thread counted?
struct get_metrics {};
struct metrics_snapshot {
  std::shared_ptr<const metric_counts> block;
};
/// The text of GET /metrics, all threads summed.
struct scrape_metrics {
  std::shared_ptr<upstream_table> upstreams;  ///< null in mock mode
};
struct metrics_text {
  /// The scrape counts as under way until the last copy of this pointer is gone.
  std::shared_ptr<const std::string> text;
};
/// From an actor to itself: how long do messages wait?
struct mailbox_probe {
  steady_clock::time_point sent;
};
struct metrics_peers;
//   get_metrics    -> metrics_snapshot
//   scrape_metrics -> metrics_text | errc::overloaded, while there are two scrapes in the process already
//                     | errc::internal, if another thread's actor is dead
using metrics_actor =
    caf::typed_actor<caf::replies_to<get_metrics>::with<metrics_snapshot>,
                     caf::replies_to<scrape_metrics>::with<metrics_text>, caf::reacts_to<mailbox_probe>,
                     caf::reacts_to<metrics_peers>, caf::reacts_to<keys_changed>>;
/// Those of the other threads.
struct metrics_peers {
  std::vector<metrics_actor> others;
};

// -- traces ----------------------------------------------------------------------------

/// A batch of finished spans has come together.
struct export_due {};
/// Export what there is, now: nothing more comes.
struct flush_spans {};
/// It is exported, or cannot be.
struct spans_flushed {};
//   flush_spans -> spans_flushed
using exporter_actor =
    caf::typed_actor<caf::reacts_to<export_due>, caf::replies_to<flush_spans>::with<spans_flushed>>;

}  // namespace llm_proxy
