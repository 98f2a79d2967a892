#include "actors/session/attempt.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

namespace {

using namespace std::string_literals;

response_head head_with(unsigned status, std::string_view type, std::string_view encoding = {}) {
  response_head head{status, {}};
  head.headers.add("content-type", type);
  if (!encoding.empty()) head.headers.add("content-encoding", encoding);
  return head;
}

constexpr answer_terms streamed{.may_stream = true};

const std::string delta = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const std::string error = "data: {\"error\":{\"message\":\"no\",\"code\":\"500\"}}\n\n";
const std::string done = "data: [DONE]\n\n";

/// What becomes of a stream: the bytes that pass, and the error events.
struct outcome {
  std::string passed;
  std::vector<std::string> errors;
  bool is_first = false;
};

outcome fed(std::string_view stream, std::size_t split) {
  attempt one;
  one.take_head(head_with(200, "text/event-stream"), streamed);
  outcome seen;
  for (auto part : {stream.substr(0, split), stream.substr(split)}) {
    while (!part.empty()) {
      auto piece = one.take_events(part);
      seen.passed += piece.bytes;
      seen.is_first = seen.is_first || piece.is_first;
      if (!piece.error.empty()) seen.errors.push_back(std::move(piece.error));
    }
  }
  return seen;
}

}  // namespace

TEST_CASE("attempt: the head says what becomes of the body", "[unit][attempt]") {
  attempt stream;
  CHECK(stream.take_head(head_with(200, "text/event-stream"), streamed) == answer_plan::stream);
  CHECK(stream.is_event_stream);
  CHECK(stream.is_judged);
  attempt compressed;
  compressed.take_head(head_with(200, "text/event-stream", "gzip"), streamed);
  CHECK(compressed.is_event_stream);
  CHECK_FALSE(compressed.is_judged);
  attempt audio;
  CHECK(audio.take_head(head_with(200, "audio/mpeg"), {.any_media = true}) == answer_plan::pass);
  CHECK_FALSE(audio.is_event_stream);
  CHECK_FALSE(audio.is_judged);
  attempt json;
  CHECK(json.take_head(head_with(200, "application/json"), {}) == answer_plan::hold);
  attempt redirect;
  CHECK(redirect.take_head(head_with(302, "text/html"), {}) == answer_plan::refuse);
}

TEST_CASE("attempt: a stream has the same outcome at every split", "[unit][attempt]") {
  const auto stream = delta + error + ": comment\n\n" + delta + done;
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    INFO(split);
    const auto seen = fed(stream, split);
    CHECK(seen.passed == delta + ": comment\n\n" + delta + done);
    CHECK(seen.errors == std::vector<std::string>{error});
    CHECK_FALSE(seen.is_first);
  }
}

TEST_CASE("attempt: an error that is the first event is known to be first, whatever comments came before",
          "[unit][attempt]") {
  for (const auto& before : {""s, ": comment\n\n"s}) {
    const auto stream = before + error + delta;
    for (std::size_t split = 0; split <= stream.size(); ++split) {
      INFO(split);
      CHECK(fed(stream, split).is_first);
    }
  }
  CHECK_FALSE(fed(delta + error, 0).is_first);
}

TEST_CASE("attempt: comments are neither an event nor progress", "[unit][attempt]") {
  attempt one;
  one.take_head(head_with(200, "text/event-stream"), streamed);
  const auto feed = [&one](std::string_view bytes) { one.take_events(bytes); };
  feed(": comment\n\n");
  CHECK_FALSE(one.has_event());
  CHECK_FALSE(one.has_progressed());
  feed(delta);
  CHECK(one.has_event());
  CHECK(one.has_progressed());
  CHECK_FALSE(one.has_progressed());
  // has_progressed() and was_heard() are independent of each other.
  CHECK(one.was_heard());
  CHECK_FALSE(one.was_heard());
}

TEST_CASE("attempt: credit is given back in portions, for what the client has read", "[unit][attempt]") {
  attempt one;
  one.is_open = true;
  one.note_received(10'000);
  CHECK(one.take_credit(0) == 0);
  one.note_received(10'000);
  CHECK(one.take_credit(10'000) == 0);
  CHECK(one.take_credit(0) == 20'000);
  CHECK(one.take_credit(0) == 0);
  one.note_received(credit_window);
  CHECK(one.is_out_of_credit());
  CHECK(one.take_credit(credit_window - 20'000) == 20'000);
  CHECK_FALSE(one.is_out_of_credit());
  one.is_open = false;
  CHECK(one.take_credit(0) == 0);
}

TEST_CASE("attempt: a body is held up to 4 MiB", "[unit][attempt]") {
  attempt one;
  CHECK(one.hold(std::string(4 << 20, 'a')));
  CHECK_FALSE(one.hold("b"));
  CHECK(one.held.size() == (4 << 20) + 1);
}

TEST_CASE("attempt: the length of a body is known only from its header, and not if it comes in chunks",
          "[unit][attempt]") {
  const auto length = [](std::vector<std::pair<std::string, std::string>> fields) {
    attempt one;
    for (const auto& [name, value] : fields) one.head.headers.add(name, value);
    return one.known_length();
  };
  CHECK(length({{"content-length", "12"}}) == 12);
  CHECK_FALSE(length({}));
  CHECK_FALSE(length({{"content-length", "12x"}}));
  CHECK_FALSE(length({{"content-length", "12"}, {"transfer-encoding", "chunked"}}));
}

}  // namespace llm_proxy
