// GET /ui/events: what the dashboard shows.
#include "actors/session/session.hpp"
#include "actors/telemetry/ui_snapshot.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto watch_pause = std::chrono::milliseconds{250};
/// Five minutes of them; then the client has to ask again.
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
  out.headers.add("x-request-id", record_.id);
  client_->start_answer(out, body_framing::chunked, 0, false);
  if (head().method == "HEAD") {
    end(verdict::complete, closing::whole);
    return;
  }
  record_.stream = true;
  enter_phase(phase::streaming);
  watch_ = std::make_unique<ui_watch>(context_->home->timers(), calling<&session_state::look>(),
                                      context_->observers.size());
  // Others than the operator see what is their own.
  if (!is_operator_) watch_->key = record_.key->name;
  look();
}

/// One round: asks all threads, unless the last event is still on its way to a client that reads slowly.
void session_state::look() {
  auto& watch = *watch_;
  if (context_->health->draining) {
    end(verdict::drained, closing::whole);
    return;
  }
  // The page asks again: a key that was revoked meanwhile sees no more, and one that stays sees new
  // upstreams.
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
        // Half a picture would be a wrong one. The page asks again, and then there is another observer.
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
