// Lists the requests of one thread that are in flight, for those who watch them (GET /ui/events). It is used
// on that thread only: by its sessions and by its observer actor.
//
// A session links itself in and out, which allocates nothing. How a request ended is kept only while somebody
// watches.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/loop/deadlines.hpp"

#include <cstdint>
#include <deque>
#include <string_view>

namespace llm_proxy {

/// A session that can be listed.
class live_session {
 public:
  virtual session_sample sample() const = 0;
  /// Returns the name of its key.
  virtual std::string_view key_name() const = 0;

 protected:
  live_session() = default;
  ~live_session() = default;
  live_session(const live_session&) = delete;
  live_session& operator=(const live_session&) = delete;

 private:
  friend class live_sessions;
  live_session* next_ = nullptr;
  live_session* before_ = nullptr;
  bool listed_ = false;
};

class live_sessions {
 public:
  void add(live_session& session);
  /// Does nothing if the session is not listed.
  void remove(live_session& session);
  /// Removes the session, and keeps how it ended for those who watch. `how` must be a string literal.
  void end(live_session& session, std::string_view how, unsigned status);

  /// Returns the answer to `asked`. From now on the ends of requests are kept.
  observed look(const observe& asked, steady_clock::time_point now);
  std::size_t kept() const { return ended_.size(); }

 private:
  /// A watcher asks four times a second. If nobody has asked for this long, nobody watches any more.
  static constexpr auto patience = std::chrono::seconds{3};

  live_session* first_ = nullptr;
  bool watched_ = false;
  steady_clock::time_point asked_at_{};
  std::uint64_t ends_ = 0;           // how many have been kept since the start
  std::deque<ended_session> ended_;  // the newest of them
};

/// The actor that lists the requests of its thread. There is one per thread; the supervisor keeps it alive.
struct observer_state {
  static inline const char* name = "observer";
};
observer_actor::behavior_type observer(pinned_pointer<observer_actor, observer_state> self,
                                       std::shared_ptr<live_sessions> sessions);

}  // namespace llm_proxy
