#include "actors/access/auth.hpp"

#include "support/actor_stage.hpp"

#include <initializer_list>
#include <utility>

namespace llm_proxy::test {

namespace {

errc asked(actor_stage& stage, const auth_actor& who,
           std::initializer_list<std::pair<const char*, const char*>> headers) {
  auto head = std::make_shared<request_head>();
  for (const auto& [name, value] : headers) head->headers.add(name, value);
  const auto answer = stage.ask<principal>(who, authorize{head});
  REQUIRE_FALSE(answer->open());
  return answer->code();
}

}  // namespace

TEST_CASE("auth: the right key lets a request in, in each of its places", "[actor][auth]") {
  actor_stage stage;
  const auto guard =
      stage.cast(spawn_on(stage.system(), stage.home(), auth, std::string{"key"}, make_key_table({})));
  CHECK(asked(stage, guard, {{"x-internal-auth", "key"}}) == errc::none);
  CHECK(asked(stage, guard, {{"authorization", "bEaReR key"}}) == errc::none);
  CHECK(asked(stage, guard, {{"x-api-key", "key"}}) == errc::none);
  CHECK(asked(stage, guard, {{"x-internal-auth", "key"}, {"authorization", "Bearer other"}}) == errc::none);
}

TEST_CASE("auth: anything else is unauthorized", "[actor][auth]") {
  actor_stage stage;
  const auto guard =
      stage.cast(spawn_on(stage.system(), stage.home(), auth, std::string{"key"}, make_key_table({})));
  CHECK(asked(stage, guard, {}) == errc::unauthorized);
  CHECK(asked(stage, guard, {{"x-internal-auth", ""}}) == errc::unauthorized);
  CHECK(asked(stage, guard, {{"x-internal-auth", "keys"}}) == errc::unauthorized);
  CHECK(asked(stage, guard, {{"x-internal-auth", "kex"}, {"authorization", "Bearer key"}}) ==
        errc::unauthorized);
  CHECK(asked(stage, guard, {{"x-internal-auth", "key"}, {"x-internal-auth", "key"}}) == errc::unauthorized);
  CHECK(asked(stage, guard, {{"authorization", "Basic key"}}) == errc::unauthorized);
  CHECK(asked(stage, guard, {{"authorization", "key"}}) == errc::unauthorized);
}

}  // namespace llm_proxy::test
