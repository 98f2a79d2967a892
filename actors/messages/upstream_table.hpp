// What is known of the upstreams on all threads: which of them can be used, and how busy each one is.
//
// The faults that all threads see are counted together, and every request reads the table before an upstream
// is picked. Therefore this is one shared table of atomics, not messages between actors. A request reads a
// word or two of it. It is written when an upstream fails, is left out, or comes back.
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
    unsigned faults_to_eject = 5;  ///< consecutive faults after which an upstream is left out
    /// An upstream that comes back gets its full share after this long.
    std::chrono::milliseconds slow_start{std::chrono::seconds{10}};
    /// Clients that give up on an upstream within this time of each other are counted together. It is also
    /// the shortest time between two probes that clients cause.
    std::chrono::milliseconds suspicion_window{std::chrono::seconds{10}};
  };

  /// `names`: 1 to max_upstreams names for the log. Their order gives the upstreams their numbers.
  explicit upstream_table(std::vector<std::string> names);
  upstream_table(std::vector<std::string> names, options how);

  std::size_t size() const { return entries_.size(); }
  const std::string& name(std::size_t upstream) const { return entries_[upstream].name; }
  bool usable(std::size_t upstream) const { return !entries_[upstream].ejected.load(relaxed); }
  /// Returns whether there is a usable upstream that is not in `tried`.
  bool any_usable_but(upstream_set tried) const;
  /// Returns whether there is an upstream, usable or left out, that is not in `tried`.
  bool any_but(upstream_set tried) const { return (~tried & (bit_of(size()) - 1)) != 0; }
  /// Returns which part of its fair share of requests an upstream gets: 0 (left out) to 1.
  double share(std::size_t upstream, steady_clock::time_point now) const;
  /// Returns the number of requests that the upstream has in flight, over all threads.
  std::atomic<std::size_t>& load(std::size_t upstream) { return entries_[upstream].load; }
  std::size_t outstanding(std::size_t upstream) const { return entries_[upstream].load.load(relaxed); }
  /// Returns how often it was left out.
  std::uint64_t ejections(std::size_t upstream) const { return entries_[upstream].ejections.load(relaxed); }

  /// A whole answer came from this upstream. Its count of consecutive faults starts again at 0.
  void succeeded(std::size_t upstream);
  /// The upstream itself caused a fault: it could not be reached, broke off, was silent for too long, or
  /// failed by itself. After `faults_to_eject` of them in a row it is left out, unless it is the last usable
  /// one.
  void failed(std::size_t upstream, std::string_view why);
  /// A client gave up before this upstream sent the first byte of its answer. That alone is no fault, because
  /// clients leave for many reasons. Returns true if the upstream should be probed now: three clients gave up
  /// within suspicion_window, and no probe was requested in that time. It does not matter who these clients
  /// are: a single client that gives up three times causes one cheap probe, and nothing else.
  bool abandoned(std::size_t upstream, steady_clock::time_point now);
  /// The probe that abandoned() requested failed. The upstream is left out, unless it is the last usable one.
  void gave_no_sign(std::size_t upstream, std::string_view why);
  /// An upstream that was left out answered its probe. It is used again, and its share grows gradually. Until
  /// it has answered a request, one fault is enough to leave it out again.
  void returned(std::size_t upstream, steady_clock::time_point now);
  /// An upstream that was left out answered a request that was opened at `opened`. It is used again, as after
  /// a probe. The answer to a request that was opened before it was left out changes nothing.
  void answered(std::size_t upstream, steady_clock::time_point opened, steady_clock::time_point now);

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  static constexpr std::size_t abandoned_to_probe = 3;

  struct entry {
    std::string name;
    std::atomic<unsigned> faults{0};
    std::atomic<bool> ejected{false};
    std::atomic<steady_clock::rep> returned_at{0};  // 0 if it has its full share
    std::atomic<steady_clock::rep> ejected_at{0};   // the last time
    std::atomic<std::size_t> load{0};
    std::atomic<std::uint64_t> ejections{0};
    // Guarded by changing_.
    using moment = std::optional<steady_clock::time_point>;
    std::array<moment, abandoned_to_probe> abandoned_at;  // the last times, in no order
    moment suspected_at;                                  // when a probe was asked for
  };

  bool eject(entry& which, const std::string& reason);

  std::vector<entry> entries_;  // never resized, because atomics cannot be moved
  options options_;
  std::mutex changing_;  // held to leave out or take back an upstream, and to note clients that gave up
};

}  // namespace llm_proxy
