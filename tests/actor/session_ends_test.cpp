// However a session ends, its client gets an answer (if it is still there), its adapter is told, and its
// slots are freed.
#include "support/session_stage.hpp"

#include <new>
#include <stdexcept>
#include <utility>

namespace llm_proxy::test {

namespace {

/// How far a request has come when something ends its session.
enum class stop : std::uint8_t {
  authorizing,
  queued,
  reading,
  routing,
  leasing,
  opening,
  holding,
  early_stream,
  streaming
};

void bring_to(session_stage& on, stop where) {
  on.limit({1, 1, std::chrono::seconds{10}});
  if (where == stop::queued) on.occupy();
  if (where == stop::authorizing) on.auth_manner = manner::keeps_silent;
  if (where == stop::routing) on.registry_manner = manner::keeps_silent;
  if (where == stop::leasing) on.pool_manner = manner::keeps_silent;
  on.begin(where == stop::reading ? chat_head : where >= stop::early_stream ? streamed_chat : plain_chat);
  if (where == stop::holding) {
    on.head(200, "application/json");
    on.say(stream_chunk{"{"});
  }
  if (where >= stop::early_stream) on.head(200, "text/event-stream");
  if (where == stop::streaming) on.say(stream_chunk{delta_event});
  REQUIRE(on.alive == 1);
  REQUIRE(on.record.opened.size() == (where >= stop::opening ? 1U : 0U));
}

/// Checks that no session holds a slot or a place in the queue any more.
void check_places(session_stage& on) {
  on.occupied.reset();
  on.settle();
  CHECK(on.context->in_flight->load() == 0);
  CHECK(on.gauges->slots == 0);
  CHECK(on.gauges->waiting == 0);
}

/// Runs the rest of a test once for each stop.
#define AT_EVERY_STOP(where)                                                                                \
  const auto where = GENERATE(stop::authorizing, stop::queued, stop::reading, stop::routing, stop::leasing, \
                              stop::opening, stop::holding, stop::early_stream, stop::streaming);           \
  CAPTURE(static_cast<int>(where))

}  // namespace

TEST_CASE("session: a client that leaves at any stop cancels its upstream once and frees its slots",
          "[actor][session]") {
  AT_EVERY_STOP(where);
  session_stage on;
  bring_to(on, where);
  on.leave();
  CHECK(on.closed == 1);
  CHECK(on.record.cancelled.size() == (where >= stop::opening ? 1U : 0U));
  if (where >= stop::opening) CHECK(on.record.cancelled.front() == on.record.opened.front().stream);
  // While a session waits for its lease, the silent pool still holds the lease that it never delivered.
  if (where != stop::leasing) CHECK(on.leased == 0);
  check_places(on);
}

TEST_CASE("session: killed at any stop, it still answers its client and frees its slots",
          "[actor][session]") {
  AT_EVERY_STOP(where);
  session_stage on;
  bring_to(on, where);
  {
    const auto self = caf::actor_cast<caf::strong_actor_ptr>(on.sessions.front());
    caf::anon_send_exit(self, caf::exit_reason::kill);
  }
  if (where == stop::streaming) {
    CHECK(on.has(R"("code":"internal"}})"));
    CHECK_FALSE(on.has("\r\n0\r\n\r\n"));
    CHECK(on.ended);
  } else {
    CHECK(on.has("HTTP/1.1 500 Internal Server Error"));
    CHECK(on.has(R"("code":"internal"}})"));
  }
  CHECK(on.record.cancelled.size() == (where >= stop::opening ? 1U : 0U));
  if (where != stop::leasing) CHECK(on.leased == 0);
  check_places(on);
}

namespace {

/// A session that begins like a real one and has its state, but whose handlers all throw.
session_actor::behavior_type throwing_session(session_state::self_pointer self,
                                              std::shared_ptr<const session_context> context,
                                              std::shared_ptr<exchange> client) {
  self->state.begin(self, std::move(context), std::move(client));
  return {[](stream_chunk&) { throw std::bad_alloc{}; },
          [](stream_failed&) { throw std::runtime_error{"failed"}; },
          [](const body_taken&) { throw std::runtime_error{"taken"}; }};
}

}  // namespace

TEST_CASE("session: an exception in any of its handlers is a 500 and frees its slots", "[actor][session]") {
  session_stage on;
  on.behavior_of = throwing_session;
  const auto which = GENERATE(0, 1, 2);
  CAPTURE(which);
  on.begin(plain_chat);
  on.head(200, "application/json");
  if (which == 0) on.say(stream_chunk{"{"});
  if (which == 1) on.say(stream_failed{{.code = errc::upstream_disconnected}});
  if (which == 2) on.say(body_taken{1});
  CHECK(on.has("HTTP/1.1 500 Internal Server Error"));
  CHECK(on.has(R"("code":"internal"}})"));
  CHECK_FALSE(on.has("chunk"));
  CHECK(on.record.cancelled.size() == 1);
  on.check_over();
}

TEST_CASE("session: forced to end at any stop, it answers with the drained error", "[actor][session]") {
  AT_EVERY_STOP(where);
  session_stage on;
  bring_to(on, where);
  on.connections.front()->force_end();
  CHECK(on.has(R"("code":"drained"}})"));
  CHECK(on.has(where == stop::streaming ? "HTTP/1.1 200" : "HTTP/1.1 503"));
  CHECK(on.record.cancelled.size() == (where >= stop::opening ? 1U : 0U));
  check_places(on);
}

TEST_CASE("session: the peer that refuses a request decides the answer", "[actor][session]") {
  session_stage on;
  SECTION("auth: 401, and the body is never asked for") {
    on.auth_manner = manner::refuses;
    on.begin(plain_chat);
    CHECK(on.has("HTTP/1.1 401"));
  }
  SECTION("registry") {
    on.registry_manner = manner::refuses;
    on.begin(plain_chat);
    CHECK(on.has("HTTP/1.1 500"));
  }
  SECTION("pool: 503, come back later") {
    on.pool_manner = manner::refuses;
    on.begin(plain_chat);
    CHECK(on.has("HTTP/1.1 503"));
    CHECK(on.has("retry-after: 1"));
  }
  SECTION("adapter, before its head") {
    on.begin(streamed_chat);
    on.record.heads.back().deliver(to_error({.code = errc::upstream_unreachable, .detail = "10.0.0.1"}));
    CHECK(on.has("HTTP/1.1 502"));
    CHECK_FALSE(on.has("10.0.0.1"));
  }
  SECTION("adapter, after its head and before an event") {
    on.begin(streamed_chat);
    on.head(200, "text/event-stream");
    on.say(stream_failed{{.code = errc::upstream_disconnected, .detail = "reset"}});
    CHECK(on.has("HTTP/1.1 502"));
  }
  SECTION("adapter, in the middle of a stream") {
    on.begin(streamed_chat);
    on.head(200, "text/event-stream");
    on.say(stream_chunk{delta_event + "data: {\"half"});
    on.say(stream_failed{{.code = errc::upstream_disconnected, .detail = "reset"}});
    CHECK(on.has(R"("code":"upstream_disconnected"}})"));
    CHECK_FALSE(on.has("half"));
    CHECK_FALSE(on.has("\r\n0\r\n\r\n"));
    CHECK(on.ended);
  }
  CHECK(on.record.cancelled.empty());
  on.check_over();
}

TEST_CASE("session: a dead peer causes an internal error, never silence", "[actor][session]") {
  session_stage on;
  const auto which = GENERATE(0, 1, 2);
  CAPTURE(which);
  if (which == 0) on.stage.kill(on.auth);
  if (which == 1) on.stage.kill(on.registry);
  if (which == 2) on.stage.kill(on.pool);
  if (which == 3) on.stage.kill(on.adapter);
  on.begin(plain_chat);
  CHECK(on.has("HTTP/1.1 500"));
  CHECK(on.has(R"("code":"internal"}})"));
  on.check_over();
}

TEST_CASE("session: requests of one connection are answered in order, each by a session of its own",
          "[actor][session]") {
  session_stage on;
  on.begin(plain_chat + plain_chat);
  CHECK(on.sessions.size() == 1);
  on.head(200, "application/json");
  on.say(stream_chunk{R"({"n":1})"});
  on.say(stream_chunk{{}, true});
  CHECK(on.sessions.size() == 2);
  on.head(200, "application/json");
  on.say(stream_chunk{R"({"n":2})"});
  on.say(stream_chunk{{}, true});
  const auto& all = on.received();
  CHECK(all.find(R"({"n":1})") < all.find(R"({"n":2})"));
  on.check_over();
}

}  // namespace llm_proxy::test
