// What is known of the upstreams on all threads: which of them can be used, and how busy each one is.
//
// A fault counts together with those that other threads saw, and every request asks before it picks: so these
// are atomics in one shared table, not messages. A request reads a word or two of it; it is written when an
// upstream fails, is left out, or comes back.
#pragma once

#include "http/loop/deadlines.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// A set of upstreams, one bit each.
using upstream_set = std::uint64_t;
inline constexpr std::size_t max_upstreams = 32;

inline constexpr upstream_set bit_of(std::size_t upstream) {
  return upstream_set{1} << upstream;
}

class upstream_table {
 public:
  struct options {
    unsigned faults_to_eject = 5;  ///< consecutive ones
    /// An upstream that comes back gets its full share after this long.
    std::chrono::milliseconds slow_start{std::chrono::seconds{10}};
    /// So long ago a client may have given up on an upstream to count together with others; it is also the
    /// shortest time between two probes that clients cause.
    std::chrono::milliseconds suspicion_window{std::chrono::seconds{10}};
  };

  /// `names`: for the log, in the order that gives upstreams their numbers; 1 to max_upstreams.
  explicit upstream_table(std::vector<std::string> names);
  upstream_table(std::vector<std::string> names, options how);

  std::size_t size() const { return entries_.size(); }
  const std::string& name(std::size_t upstream) const { return entries_[upstream].name; }
  bool usable(std::size_t upstream) const { return !entries_[upstream].ejected.load(relaxed); }
  /// Is there a usable one that is not in `tried`?
  bool any_usable_but(upstream_set tried) const;
  /// Is there one, usable or left out, that is not in `tried`?
  bool any_but(upstream_set tried) const { return (~tried & (bit_of(size()) - 1)) != 0; }
  /// Of its fair share of requests, how much an upstream is to get: 0 (left out) to 1.
  double share(std::size_t upstream, steady_clock::time_point now) const;
  /// Requests it has, over all threads.
  std::atomic<std::size_t>& load(std::size_t upstream) { return entries_[upstream].load; }
  std::size_t outstanding(std::size_t upstream) const { return entries_[upstream].load.load(relaxed); }
  /// How often it was left out.
  std::uint64_t ejections(std::size_t upstream) const { return entries_[upstream].ejections.load(relaxed); }

  /// An answer of its own making came whole.
  void succeeded(std::size_t upstream);
  /// A fault of its own: it could not be reached, broke off, was silent for too long, or failed by itself.
  /// One too many in a row and it is left out, unless it is the last usable one.
  void failed(std::size_t upstream, std::string_view why);
  /// A client gave up before this upstream said a word of its answer. That alone is no fault: clients leave
  /// as they like. True if it is to be asked for a sign of life now: three did so within the window, and none
  /// was asked for in that time. Whoever they are: each has closed its connection, and one that plays all
  /// three gains a cheap probe, no more.
  bool abandoned(std::size_t upstream, steady_clock::time_point now);
  /// The sign of life that abandoned() asked for did not come: it is left out, unless it is the last usable
  /// one.
  void gave_no_sign(std::size_t upstream, std::string_view why);
  /// One that was left out answered its probe: it is used again, gradually. Until it has answered a request
  /// one fault is enough to leave it out again.
  void returned(std::size_t upstream, steady_clock::time_point now);
  /// One that was left out answered a request that was opened at `opened`: it is used again, as after its
  /// probe. What was opened before it was left out tells of the past, and changes nothing.
  void answered(std::size_t upstream, steady_clock::time_point opened, steady_clock::time_point now);

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  static constexpr std::size_t abandoned_to_probe = 3;

  struct entry {
    std::string name;
    std::atomic<unsigned> faults{0};
    std::atomic<bool> ejected{false};
    std::atomic<steady_clock::rep> returned_at{0};  // 0: has its full share
    std::atomic<steady_clock::rep> ejected_at{0};   // the last time
    std::atomic<std::size_t> load{0};
    std::atomic<std::uint64_t> ejections{0};
    // Under changing_.
    using moment = std::optional<steady_clock::time_point>;
    std::array<moment, abandoned_to_probe> abandoned_at;  // the last ones, in no order
    moment suspected_at;                                  // when a probe was asked for
  };

  bool eject(entry& which, const std::string& reason);

  std::vector<entry> entries_;  // never resized: atomics stay where they are
  options options_;
  std::mutex changing_;  // for leaving out, taking back and clients that gave up
};

}  // namespace llm_proxy
