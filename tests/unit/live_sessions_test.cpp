#include "actors/telemetry/live_sessions.hpp"

#include "actors/telemetry/ui_snapshot.hpp"
#include "support/catch.hpp"

#include <deque>
#include <string>

namespace llm_proxy {

namespace {

class numbered final : public live_session {
 public:
  explicit numbered(int number) : number_{number} {}
  session_sample sample() const override {
    session_sample now;
    now.id = std::to_string(number_);
    now.key = key_name();
    return now;
  }
  std::string_view key_name() const override { return number_ % 2 == 0 ? "even" : "odd"; }

 private:
  int number_;
};

}  // namespace

TEST_CASE("live sessions: sessions that were removed are not listed, in whatever order they were removed",
          "[unit][live]") {
  live_sessions list;
  std::deque<numbered> made;
  for (int i = 0; i < 4; ++i) list.add(made.emplace_back(i));
  list.remove(made[0]);
  list.remove(made[3]);
  list.remove(made[3]);
  list.remove(made[1]);
  const auto seen = list.look({}, steady_clock::now());
  CHECK(seen.active == 1);
  REQUIRE(seen.requests.size() == 1);
  CHECK(seen.requests.front().id == "2");
}

TEST_CASE("live sessions: ended sessions are kept only while somebody watches, and each watcher sees them",
          "[unit][live]") {
  live_sessions list;
  std::deque<numbered> made;
  for (int i = 0; i < 4; ++i) list.add(made.emplace_back(i));
  list.end(made[0], "complete", 200);
  CHECK(list.kept() == 0);
  const auto now = steady_clock::now();
  const auto one = list.look({}, now);
  CHECK(one.ended.empty());
  list.end(made[1], "complete", 200);
  const auto other = list.look({}, now);
  CHECK(other.ended.empty());
  list.end(made[2], "truncated", 502);
  CHECK(list.look({one.last}, now).ended.size() == 2);
  const auto seen = list.look({other.last}, now - std::chrono::minutes{1});
  REQUIRE(seen.ended.size() == 1);
  CHECK(seen.ended.front().last.id == "2");
  CHECK(seen.ended.front().verdict == "truncated");
  CHECK(seen.ended.front().status == 502);
  // The last look was a minute ago, so nobody watches any more.
  list.end(made[3], "complete", 200);
  CHECK(list.kept() == 0);
}

TEST_CASE("live sessions: a look at the requests of one key shows no other key's", "[unit][live]") {
  live_sessions list;
  std::deque<numbered> made;
  for (int i = 0; i < 5; ++i) list.add(made.emplace_back(i));
  const auto now = steady_clock::now();
  const auto begun = list.look({std::nullopt, "odd"}, now);
  CHECK(begun.active == 2);
  REQUIRE(begun.requests.size() == 2);
  for (const auto& each : begun.requests) CHECK(each.key == "odd");
  for (int i = 0; i < 3; ++i) list.end(made[static_cast<std::size_t>(i)], "complete", 200);
  const auto seen = list.look({begun.last, "odd"}, now);
  CHECK(seen.active == 1);
  REQUIRE(seen.ended.size() == 1);
  CHECK(seen.ended.front().last.id == "1");
  CHECK(seen.missed == 0);
  CHECK(list.look({begun.last}, now).ended.size() == 3);
  CHECK(list.look({begun.last, "nobody"}, now).ended.empty());
}

TEST_CASE("live sessions: no more than the bound are listed, but all of them are counted", "[unit][live]") {
  live_sessions list;
  const int count = static_cast<int>(max_observed) + 20;
  std::deque<numbered> made;
  for (int i = 0; i < count; ++i) list.add(made.emplace_back(i));
  const auto seen = list.look({}, steady_clock::now());
  CHECK(seen.active == max_observed + 20);
  CHECK(seen.requests.size() == max_observed);
  const auto text = ui_snapshot({seen, seen}, nullptr);
  CHECK(text.substr(0, 16) == R"({"active":1040,")");
  std::size_t listed = 0;
  for (auto at = text.find("\"id\""); at != std::string::npos; at = text.find("\"id\"", at + 1)) ++listed;
  CHECK(listed == max_observed);
  for (auto& each : made) list.end(each, "complete", 200);
  const auto after = list.look({seen.last}, steady_clock::now());
  CHECK(after.active == 0);
  CHECK(after.ended.size() == max_observed);
  CHECK(after.missed == 20);
}

}  // namespace llm_proxy
