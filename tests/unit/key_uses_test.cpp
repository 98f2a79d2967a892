#include "http/keys/key_uses.hpp"

#include "support/catch.hpp"

#include <map>
#include <memory>
#include <string>

namespace llm_proxy {

namespace {

std::map<std::string, std::int64_t> last_of(const key_uses& uses) {
  std::map<std::string, std::int64_t> all;
  for (const auto& each : uses.all()) all[each.name] = each.time;
  return all;
}

}  // namespace

TEST_CASE("key uses: the names that are used first have a time of their own, all others share one",
          "[unit][keys]") {
  key_uses uses{std::make_shared<scrape_room>(), 4};
  std::vector<key_use_ptr> each;
  for (int i = 0; i < 6; ++i) each.push_back(std::make_shared<key_use>(0));
  const auto use = [&](int i, std::int64_t now) {
    uses.note("k" + std::to_string(i), each[static_cast<std::size_t>(i)], now);
  };
  CHECK(uses.all().empty());
  for (int i = 5; i >= 0; --i) use(i, 100 + i);
  CHECK(last_of(uses) ==
        std::map<std::string, std::int64_t>{{"k5", 105}, {"k4", 104}, {"k3", 103}, {"other", 100}});
  use(1, 200);
  use(4, 201);
  CHECK(last_of(uses) ==
        std::map<std::string, std::int64_t>{{"k5", 105}, {"k4", 201}, {"k3", 103}, {"other", 200}});
  // When a name is gone, a name that is used for the first time gets its place.
  uses.keep_if([](const std::string& name) { return name != "k4"; });
  uses.note("new", std::make_shared<key_use>(0), 300);
  CHECK(last_of(uses) ==
        std::map<std::string, std::int64_t>{{"k5", 105}, {"k3", 103}, {"new", 300}, {"other", 200}});
}

TEST_CASE("key uses: a name for which a scrape has no room is counted as other", "[unit][keys]") {
  const auto room = std::make_shared<scrape_room>(100);
  key_uses uses{room, 100};
  uses.note(std::string(30, 'a'), std::make_shared<key_use>(0), 1);
  uses.note(std::string(30, 'b'), std::make_shared<key_use>(0), 2);
  CHECK(last_of(uses) == std::map<std::string, std::int64_t>{{std::string(30, 'a'), 1}, {"other", 2}});
  uses.keep_if([](const std::string&) { return false; });
  CHECK(room->take(100));
}

}  // namespace llm_proxy
