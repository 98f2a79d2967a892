// GET /ui/events: what the dashboard shows.
#include "actors/session/session.hpp"
#include "actors/telemetry/ui_snapshot.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto watch_pause = std::chrono::milliseconds{250};
/// After this many rounds (five minutes) the stream ends, and the client has to ask again.
constexpr unsigned watch_rounds = 5 * 60 * 4;
/// When nothing changes, still every fourth event is sent.
constexpr unsigned quiet_rounds = 4;

}  // namespace

void session_state::watch() {
  if (context_->health->draining) {
    refuse({.code = errc::drained});
    return;
  }
  record_.status = 200;
  response_head out{200, {}};
  out.headers.add("content-type", "text/event-stream");
  out.headers.add("cache-control", "no-store");
  out.headers.add("x-accel-buffering", "no");
  out.headers.add("x-content-type-options", "nosniff");
  reply_.add_own_headers(out.headers);
  client_->start_answer(out, body_framing::chunked, 0, false);
  if (head().method == "HEAD") {
    end(verdict::complete, closing::whole);
    return;
  }
  record_.stream = true;
  enter_phase(phase::streaming);
  watch_ = std::make_unique<ui_watch>(context_->home->timers(), calling<&session_state::look>(),
                                      context_->observers.size());
  // Only the operator sees all requests. Other keys see their own.
  if (!is_operator_) watch_->key = record_.key->name;
  look();
}

/// Runs one round: asks the observers of all threads, unless they have not all answered yet, or the client
/// has not read the last event yet.
void session_state::look() {
  auto& watch = *watch_;
  if (context_->health->draining) {
    end(verdict::drained, closing::whole);
    return;
  }
  // The page then asks again. That way a key that was revoked meanwhile sees nothing more, and a valid key
  // sees new upstreams.
  if (++watch.ticks > watch_rounds) {
    end(verdict::complete, closing::whole);
    return;
  }
  watch.tick.expires_after(watch_pause);
  if (watch.awaited > 0 || client_->backlog() > 0) return;
  watch.awaited = context_->observers.size();
  for (std::size_t i = 0; i < context_->observers.size(); ++i) {
    const auto told = [this, i](observed* seen) {
      if (phase_ == phase::closed) return;
      if (seen == nullptr) {
        // The data of some threads alone would be misleading. The page asks again, and by then the observer
        // has been replaced.
        end(verdict::internal, closing::whole);
        return;
      }
      watch_->seen[i] = std::move(*seen);
      watch_->since[i] = watch_->seen[i].last;
      if (--watch_->awaited == 0) tell();
    };
    self_->request(context_->observers[i], caf::infinite, observe{watch.since[i], watch.key})
        .then([told](observed& seen) { told(&seen); }, [told](const caf::error&) { told(nullptr); });
  }
}

void session_state::tell() {
  const auto& seen = watch_->seen;
  const bool idle = std::all_of(seen.begin(), seen.end(), [](const auto& each) {
    return each.active == 0 && each.ended.empty() && each.missed == 0;
  });
  if (idle && watch_->quiet++ % quiet_rounds != 0) return;
  if (!idle) watch_->quiet = 0;
  ++record_.attempt.chunks;
  client_->write("data: " + ui_snapshot(seen, watch_->key ? nullptr : context_->upstreams.get()) + "\n\n");
}

}  // namespace llm_proxy
