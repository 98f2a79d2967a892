// Sessions that go well: what they ask of which actor, what they pass on, and how they keep to their credit
// and their deadlines.
#include "support/session_stage.hpp"

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// How the adapter divides an answer into messages to the session.
enum class parcel { one_by_one, chunk_with_end, head_with_bytes, all_at_once };

void answer(session_stage& on, parcel how, unsigned status, std::string_view type, const std::string& data) {
  const bool whole = how == parcel::all_at_once;
  if (whole || how == parcel::head_with_bytes) {
    on.head(status, type, data, whole);
  } else {
    on.head(status, type);
    on.say(stream_chunk{data, how == parcel::chunk_with_end});
  }
  if (how == parcel::one_by_one || how == parcel::head_with_bytes) on.say(stream_chunk{{}, true});
}

/// Returns an answer without the headers whose values differ from one answer to the next.
std::string lasting(std::string answer) {
  for (const std::string name : {"date: ", "x-request-id: ", "server-timing: "}) {
    const auto begin = answer.find(name);
    if (begin != std::string::npos) answer.erase(begin, answer.find("\r\n", begin) + 2 - begin);
  }
  return answer;
}

}  // namespace

TEST_CASE("session: a chat goes from its head to its answer, and leaves nothing", "[actor][session]") {
  session_stage on;
  on.begin(plain_chat);
  REQUIRE(on.record.opened.size() == 1);
  CHECK(on.context->in_flight->load() == 1);
  CHECK(on.leased == 1);
  const auto& order = on.record.opened.front();
  CHECK(order.credit == credit_window);
  CHECK(*order.request->body == R"({"model":"m","messages":[]})");
  on.head(200, "application/json");
  on.say(stream_chunk{R"({"ok":)"});
  CHECK(on.received().empty());
  on.say(stream_chunk{"true}"});
  on.say(stream_chunk{{}, true});
  CHECK(on.has("HTTP/1.1 200 OK"));
  CHECK(on.has("\r\n\r\n{\"ok\":true}"));
  CHECK(on.record.cancelled.empty());
  on.check_over();
}

TEST_CASE("session: the answer does not depend on how its parts were sent", "[actor][session]") {
  struct sample {
    std::string request;
    unsigned status;
    std::string_view type;
    std::string data;
    std::string_view expected;
  };
  const std::string error = R"({"error":{"message":"slow down","type":"t","param":null,"code":"429"}})";
  const auto given = GENERATE_COPY(values<sample>({
      {plain_chat, 200, "application/json", R"({"ok":true})", "HTTP/1.1 200 OK"},
      {plain_chat, 200, "application/json", R"({"ok":)", "HTTP/1.1 502"},
      {plain_chat, 429, "application/json", error, "HTTP/1.1 429"},
      {plain_chat, 302, "application/json", "{}", "HTTP/1.1 502"},
      {streamed_chat, 200, "text/event-stream", delta_event + end_events, "[DONE]\n\n\r\n0\r\n\r\n"},
      {streamed_chat, 200, "text/event-stream", delta_event, "upstream_disconnected"},
      {streamed_chat, 200, "text/event-stream", "data: " + error + "\n\n", "HTTP/1.1 429"},
  }));
  CAPTURE(given.status, given.data);
  std::string first;
  for (const auto how :
       {parcel::one_by_one, parcel::chunk_with_end, parcel::head_with_bytes, parcel::all_at_once}) {
    CAPTURE(how);
    session_stage on;
    on.begin(given.request);
    answer(on, how, given.status, given.type, given.data);
    const auto got = lasting(on.received());
    if (first.empty()) first = got;
    CHECK(got == first);
    CHECK(on.has(given.expected));
    // A stream that has ended is neither cancelled nor granted more credit.
    if (how == parcel::all_at_once) {
      CHECK(on.record.cancelled.empty());
      CHECK(on.record.granted == 0);
    }
    on.check_over();
  }
}

TEST_CASE("session: an answer that is followed by a retry leaves no trace, even if it came whole",
          "[actor][session]") {
  session_stage on;
  on.context->options.retries = 1;
  on.context->budget = std::make_shared<retry_budget>();
  const auto how = GENERATE(parcel::one_by_one, parcel::all_at_once);
  on.begin(plain_chat);
  answer(on, how, 503, "application/json", R"({"error":{"message":"busy","type":"t","code":"503"}})");
  CHECK(on.received().empty());
  on.stage.advance(5s);
  REQUIRE(on.record.opened.size() == 2);
  answer(on, parcel::all_at_once, 200, "application/json", R"({"ok":true})");
  CHECK(on.has("HTTP/1.1 200 OK"));
  CHECK(on.has("\r\n\r\n{\"ok\":true}"));
  on.check_over();
}

TEST_CASE("session: the status line of a stream waits for its first event", "[actor][session]") {
  session_stage on;
  on.begin(streamed_chat);
  on.head(200, "text/event-stream");
  on.say(stream_chunk{": comment\n\n"});
  CHECK(on.received().empty());
  on.say(stream_chunk{delta_event});
  CHECK(on.has(": comment\n\n"));
  CHECK(on.has(delta_event));
  on.say(stream_chunk{end_events});
  on.say(stream_chunk{{}, true});
  CHECK(on.has("[DONE]\n\n\r\n0\r\n\r\n"));
  on.check_over();
}

TEST_CASE("session: credit comes back as the client reads, and never beyond the window", "[actor][session]") {
  session_stage on;
  on.begin(streamed_chat);
  on.head(200, "text/event-stream");
  std::size_t sent = 0;
  // As an adapter does, this never sends more than it was granted.
  const auto send_all_credit = [&] {
    while (sent + delta_event.size() <= credit_window + on.record.granted) {
      sent += delta_event.size();
      on.stage.tell(on.record.opened.back().sink, stream_chunk{delta_event});
      if (sent > 64 * credit_window) break;
    }
  };
  for (int round = 0; round < 200; ++round) send_all_credit();
  const auto stuck = sent;
  // The client has read nothing, so no more was sent than the kernel's buffers and one window hold.
  CHECK(stuck < 64 * credit_window);
  for (int round = 0; round < 50 && sent == stuck; ++round) {
    on.received();
    send_all_credit();
  }
  CHECK(sent > stuck);
}

TEST_CASE("session: messages of an adapter after the end do no harm", "[actor][session]") {
  session_stage on;
  on.begin(plain_chat);
  const auto sink = on.record.opened.back().sink;
  on.head(200, "application/json");
  on.say(stream_chunk{"{}"});
  on.say(stream_chunk{{}, true});
  on.stage.tell(sink, stream_chunk{{}, true});
  on.stage.tell(sink, stream_chunk{"more"});
  on.stage.tell(sink, stream_failed{{.code = errc::internal}});
  CHECK_FALSE(on.has("more"));
  CHECK_FALSE(on.ended);
}

TEST_CASE("session: its deadlines are those of its phase", "[actor][session]") {
  session_stage on;
  on.context->options.first_byte_timeout = 10s;
  on.context->options.idle_timeout = 5s;
  SECTION("no head within FIRST_BYTE_TIMEOUT") {
    on.begin(plain_chat);
    on.stage.advance(9s);
    CHECK(on.received().empty());
    on.stage.advance(2s);
    CHECK(on.has("504 Gateway Timeout"));
  }
  SECTION("a head and comments, but no event within FIRST_BYTE_TIMEOUT") {
    on.begin(streamed_chat);
    on.head(200, "text/event-stream");
    on.stage.advance(6s);
    on.say(stream_chunk{": ping\n\n"});
    on.stage.advance(5s);
    CHECK(on.has("504 Gateway Timeout"));
  }
  SECTION("silence for IDLE_TIMEOUT after an event; comments count as silence") {
    on.begin(streamed_chat);
    on.head(200, "text/event-stream");
    on.say(stream_chunk{delta_event});
    on.stage.advance(4s);
    on.say(stream_chunk{delta_event});
    on.stage.advance(4s);
    CHECK_FALSE(on.has("upstream_timeout"));
    on.say(stream_chunk{": ping\n\n"});
    on.stage.advance(2s);
    CHECK(on.has(R"("code":"upstream_timeout"}})"));
    CHECK_FALSE(on.has("\r\n0\r\n\r\n"));
    CHECK(on.ended);
  }
  SECTION("not the whole answer within REQUEST_TIMEOUT") {
    on.context->options.request_timeout = 7s;
    on.begin(streamed_chat);
    on.head(200, "text/event-stream");
    for (int i = 0; i < 4; ++i) {
      on.say(stream_chunk{delta_event});
      on.stage.advance(2s);
    }
    CHECK(on.has(R"("code":"upstream_timeout"}})"));
    CHECK(on.ended);
  }
  CHECK(on.record.cancelled.size() == 1);
  on.check_over();
}

TEST_CASE("session: a silent stream is opened after STREAM_COMMIT_AFTER and kept alive by comments",
          "[actor][session]") {
  session_stage on;
  on.context->options.first_byte_timeout = 10min;
  on.context->options.idle_timeout = 10min;
  on.context->options.stream_commit_after = 20s;
  on.begin(streamed_chat);
  SECTION("before its head") {}
  SECTION("after its head and comments") {
    on.head(200, "text/event-stream");
    on.say(stream_chunk{": thinking\n\n"});
  }
  const bool has_head = !on.record.heads.empty() && !on.record.heads.back().pending();
  on.stage.advance(19s);
  CHECK(on.received().empty());
  on.stage.advance(1s);
  CHECK(on.has("HTTP/1.1 200 OK"));
  CHECK(on.has("content-type: text/event-stream"));
  CHECK(on.has(": keep-alive\n\n"));
  CHECK(on.has(": thinking\n\n") == has_head);
  const auto so_far = on.received().size();
  on.stage.advance(14s);
  CHECK(on.received().size() == so_far);
  on.stage.advance(1s);
  CHECK(on.received().size() > so_far);
  SECTION("events follow as usual") {
    if (!has_head) on.head(200, "text/event-stream");
    on.say(stream_chunk{delta_event + end_events});
    on.say(stream_chunk{{}, true});
    CHECK(on.has(delta_event));
    CHECK(on.has("[DONE]\n\n\r\n0\r\n\r\n"));
    on.check_over();
  }
  SECTION("a failure is an error event and a broken connection") {
    if (has_head) {
      on.say(stream_failed{{.code = errc::upstream_disconnected}});
      CHECK(on.has(R"("code":"upstream_disconnected"}})"));
    } else {
      on.head(429, "application/json");
      on.say(stream_chunk{R"({"error":{"message":"slow down","type":"t","param":null,"code":"x"}})"});
      on.say(stream_chunk{{}, true});
      CHECK(on.has("data: {\"error\":{\"message\":\"slow down\""));
    }
    CHECK_FALSE(on.has("\r\n0\r\n\r\n"));
    CHECK(on.ended);
    on.check_over();
  }
}

TEST_CASE("session: a stream that falls silent between events is kept alive by comments",
          "[actor][session]") {
  session_stage on;
  on.context->options.stream_commit_after = 20s;
  on.begin(streamed_chat);
  on.head(200, "text/event-stream");
  for (int i = 0; i < 5; ++i) {
    on.say(stream_chunk{delta_event});
    on.stage.advance(10s);
  }
  CHECK_FALSE(on.has("keep-alive"));
  on.stage.advance(15s);
  on.stage.advance(15s);
  CHECK(on.has("keep-alive"));
}

TEST_CASE("session: an error that is a stream's first event has the status that it names",
          "[actor][session]") {
  session_stage on;
  on.begin(streamed_chat);
  on.head(200, "text/event-stream");
  SECTION("with one") {
    on.say(stream_chunk{
        ": ping\n\ndata: {\"error\":{\"message\":\"slow\",\"type\":\"None\",\"code\":\"429\"}}\n\n"});
    CHECK(on.has("HTTP/1.1 429"));
    CHECK(on.has(R"({"error":{"message":"slow","type":null,"code":"429"}})"));
    CHECK(on.has("x-should-retry: true"));
  }
  SECTION("without one") {
    on.say(stream_chunk{"data: {\"error\":{\"message\":\"oh\",\"type\":\"t\"}}\n\n"});
    CHECK(on.has("HTTP/1.1 502"));
  }
  CHECK(on.has("content-type: application/json"));
  on.check_over();
}

TEST_CASE(
    "session: a watcher of GET /ui/events that does not read stops the events, and is closed in the end",
    "[actor][session]") {
  session_stage on;
  std::size_t asked = 0;
  session_sample sample;
  sample.id = std::string(200, 'i');
  observed all;
  all.requests.assign(max_observed, sample);
  all.active = max_observed;
  on.context->observers = {on.stage.scripted<observer_actor>([&](observer_actor::pointer) {
    return observer_actor::behavior_type{[&](const observe&) {
      ++asked;
      return all;
    }};
  })};
  on.begin("GET /ui/events HTTP/1.1\r\nhost: h\r\nx-internal-auth: k\r\n\r\n");
  const auto tick = [&] { on.stage.advance(std::chrono::milliseconds{250}); };
  // Wait until the system's buffers are full.
  std::size_t before = 0;
  do {
    before = asked;
    tick();
  } while (asked > before && asked < 500);
  const auto full = asked;
  REQUIRE(full > 1);
  REQUIRE(full < 500);
  // Only one event waits to be sent, however long that takes.
  const auto waiting = on.connections.front()->backlog();
  CHECK(waiting > 0);
  CHECK(waiting < 300 * max_observed);
  for (int i = 0; i < 40; ++i) tick();
  CHECK(asked == full);
  CHECK(on.connections.front()->backlog() == waiting);
  CHECK(on.received().size() > full * 200);
  CHECK(on.connections.front()->backlog() == 0);
  tick();
  CHECK(asked == full + 1);
  // A client that never reads is closed after CLIENT_WRITE_TIMEOUT.
  do {
    before = asked;
    tick();
  } while (asked > before);
  on.stage.advance(std::chrono::seconds{60});
  CHECK(on.closed == 1);
  on.check_over();
}

}  // namespace llm_proxy::test
