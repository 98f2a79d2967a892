// Tests of the admission actor with its sessions: who gets a slot when, and that no slot is ever lost.
#include "actors/access/admission.hpp"

#include "support/session_stage.hpp"

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

key_rules_ptr limited(std::size_t max_concurrent, std::uint64_t rpm = 0, std::uint64_t tpm = 0) {
  auto rules = std::make_shared<key_rules>(*make_key_table({})->internal);
  rules->max_concurrent = max_concurrent;
  rules->rpm = rpm;
  rules->tpm = tpm;
  return rules;
}

const std::string usage_event =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":60}}\n\n";

}  // namespace

TEST_CASE("admission: a queued request is served when a slot comes free", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  on.occupy();
  on.begin(plain_chat);
  CHECK(on.received().empty());
  CHECK(on.gauges->waiting == 1);
  CHECK(on.record.opened.empty());
  on.occupied.reset();
  on.settle();
  CHECK(on.gauges->waiting == 0);
  CHECK(on.gauges->slots == 1);
  REQUIRE(on.record.opened.size() == 1);
  on.head(200, "application/json");
  on.say(stream_chunk{"{}"});
  on.say(stream_chunk{{}, true});
  CHECK(on.has("HTTP/1.1 200"));
  on.check_over();
}

TEST_CASE("admission: after QUEUE_TIMEOUT a request is refused", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  on.occupy();
  on.begin(plain_chat);
  on.stage.advance(9s);
  CHECK(on.received().empty());
  on.stage.advance(1s);
  CHECK(on.has("HTTP/1.1 503"));
  CHECK(on.has("retry-after: 1\r\n"));
  CHECK(on.has(R"("code":"overloaded")"));
  on.occupied.reset();
  on.check_over();
}

TEST_CASE("admission: a client that leaves the queue is forgotten at once", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  on.occupy();
  on.begin(plain_chat);
  REQUIRE(on.gauges->waiting == 1);
  on.leave();
  CHECK(on.gauges->waiting == 0);
  on.begin(plain_chat);  // fits only if the first one has left, because the queue has one place
  CHECK(on.gauges->waiting == 1);
  on.leave();
  on.occupied.reset();
  on.check_over();
}

TEST_CASE("admission: a slot that was granted to somebody who has left comes back", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  {
    const auto answer = on.stage.ask<slot_decision>(on.context->admission, request_slot{1, on.rules});
    REQUIRE(answer->value);
    CHECK(on.gauges->slots == 1);
  }
  on.settle();
  CHECK(on.gauges->slots == 0);
  on.occupy();
  caf::anon_send(on.context->admission, request_slot{2, on.rules});  // nobody receives the answer
  on.settle();
  on.occupied.reset();
  on.settle();
  on.check_over();
}

TEST_CASE("admission: a key's own limit is a 429, and the body's deadline runs from when the slot is granted",
          "[actor][admission]") {
  session_stage on;
  on.limit({0, 1, 0ms});
  on.rules = limited(1);
  on.context->options.limits_all = false;
  on.occupy();
  on.begin(chat_head);
  on.stage.advance(59s);
  CHECK(on.received().empty());
  on.occupied.reset();
  on.settle();
  on.stage.advance(59s);
  CHECK(on.received().empty());
  on.stage.advance(1s);
  CHECK(on.has("HTTP/1.1 408"));
  on.occupy();
  on.context->admission = nullptr;
  on.limit({0, 0, 0ms});
  on.occupied.reset();
  on.occupy();
  on.begin(plain_chat);
  CHECK(on.has("HTTP/1.1 429"));
  CHECK(on.has(R"("code":"rate_limit_exceeded")"));
  on.occupied.reset();
  on.settle();
  CHECK(on.gauges->slots == 0);
}

TEST_CASE("admission: the usage that ends a stream is charged to the key's tpm", "[actor][admission]") {
  session_stage on;
  on.limit({});
  on.rules = limited(0, 0, 100);
  on.begin(streamed_chat + plain_chat);
  // Upstream sends the usage only if the request asks for it.
  CHECK(on.record.opened.at(0).request->body->find(R"("include_usage":true)") != std::string::npos);
  on.head(200, "text/event-stream");
  auto ending = end_events;
  ending.insert(ending.find("data: [DONE]"), usage_event);
  on.say(stream_chunk{delta_event + ending});
  on.say(stream_chunk{{}, true});
  CHECK(on.has("[DONE]"));
  CHECK_FALSE(on.has("prompt_tokens"));
  CHECK(on.has("HTTP/1.1 429"));
  CHECK(on.has("x-ratelimit-limit-tokens: 100\r\n"));
  CHECK(on.has("x-ratelimit-remaining-tokens: 0\r\n"));
  on.check_over();
}

TEST_CASE("admission: if it dies, new and queued requests get an internal error", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  if (GENERATE(false, true)) {
    on.occupy();
    on.begin(plain_chat);
    on.stage.kill(on.context->admission);
  } else {
    on.stage.kill(on.context->admission);
    on.begin(plain_chat);
  }
  CHECK(on.has("HTTP/1.1 500"));
  CHECK(on.alive == 0);
}

TEST_CASE("admission: a limit that is raised admits waiting requests", "[actor][admission]") {
  session_stage on;
  on.limit({1, 1, 10s});
  on.occupy();
  on.begin(plain_chat);
  CHECK(on.record.opened.empty());
  on.stage.tell(on.context->admission, limits_changed{{2, 1, 10s}});
  on.settle();
  CHECK(on.record.opened.size() == 1);
  CHECK(on.gauges->slots == 2);
  CHECK(on.gauges->waiting == 0);
}

}  // namespace llm_proxy::test
