// What a session answers by itself: the pages that the binary carries, and what the dashboard shows.
#include "actors/session/session.hpp"
#include "actors/telemetry/ui_snapshot.hpp"
#include "http/web/web_pages.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace llm_proxy {

namespace {

constexpr auto watch_pause = std::chrono::milliseconds{250};
/// Five minutes of them; then the client has to ask again.
constexpr unsigned watch_rounds = 5 * 60 * 4;
/// Of rounds with nothing to tell, every so manieth is told all the same.
constexpr unsigned quiet_rounds = 4;

}  // namespace

session_sample session_state::sample() const {
  session_sample now;
  now.id = id_;
  now.route = head_->path();
  now.model = model_;
  if (key_) now.key = key_->name;
  now.stream = wants_stream_;
  now.ms = since_start();
  if (first_byte_ != steady_clock::time_point{}) {
    now.first_byte_ms = std::chrono::duration<double, std::milli>(first_byte_ - started_).count();
  }
  now.chunks = chunks_;
  now.bytes = client_->body_bytes_written();
  const auto& usage = usage_ ? usage_ : judge_.usage;
  if (usage) now.tokens = usage->completion_tokens;
  return now;
}

void session_state::answer_page() {
  auto answer = ::llm_proxy::answer_page(*head_);
  if (answer.head.status == 404) {
    refuse({errc::not_found, {}, {}, {}});
    return;
  }
  status_ = answer.head.status;
  answer.head.headers.add("x-request-id", id_);
  client_->start_answer(answer.head, body_framing::content_length, answer.length, false);
  client_->write_constant(answer.body);
  end_answer(verdict::complete);
}

// -- GET /ui/events ---------------------------------------------------------------------

void session_state::watch() {
  if (context_->health->draining) {
    refuse({errc::drained, {}, {}, {}});
    return;
  }
  status_ = 200;
  response_head out{status_, {}};
  out.headers.add("content-type", "text/event-stream");
  out.headers.add("cache-control", "no-store");
  out.headers.add("x-accel-buffering", "no");
  out.headers.add("x-content-type-options", "nosniff");
  out.headers.add("x-request-id", id_);
  client_->start_answer(out, body_framing::chunked, 0, false);
  if (head_->method == "HEAD") {
    end_answer(verdict::complete);
    return;
  }
  wants_stream_ = true;
  enter_phase(phase::streaming);
  watch_ = std::make_unique<ui_watch>(
      context_->home->timers(), [this] { enter(self_, [this] { look(); }); }, context_->observers.size());
  // Others than the operator see what is their own.
  if (!is_operator_) watch_->key = key_->name;
  look();
}

/// One round: asks all threads, unless the last event is still on its way to a client that reads slowly.
void session_state::look() {
  auto& watch = *watch_;
  if (context_->health->draining) {
    end_answer(verdict::drained);
    return;
  }
  // The page asks again: a key that was revoked meanwhile sees no more, and one that stays sees new
  // upstreams.
  if (++watch.ticks > watch_rounds) {
    end_answer(verdict::complete);
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
        end_answer(verdict::internal);
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
  ++chunks_;
  client_->write("data: " + ui_snapshot(seen, watch_->key ? nullptr : context_->upstreams.get()) + "\n\n");
}

}  // namespace llm_proxy
