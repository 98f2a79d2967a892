#include "adapters/pool.hpp"

#include "support/actor_stage.hpp"

#include <set>
#include <vector>

namespace llm_proxy::test {

namespace {

adapter_actor idle_adapter(actor_stage& stage) {
  return stage.scripted<adapter_actor>([](adapter_actor::pointer) {
    return adapter_actor::behavior_type{
        [](const open_stream&) -> caf::result<stream_head> { return caf::sec::unexpected_message; },
        [](const body_part&) {}, [](const grant_credit&) {}, [](const cancel_stream&) {},
        [](get_models) -> caf::result<models> { return models{}; }};
  });
}

pool_actor pool_on(actor_stage& stage, pool_options options) {
  return stage.cast(spawn_on(stage.system(), stage.home(), pool, options,
                             adapter_factory{[&stage](std::size_t) { return idle_adapter(stage); }}));
}

adapter_lease lease_of(actor_stage& stage, const pool_actor& from, lease_adapter request = {}) {
  const auto answer = stage.ask<adapter_lease>(from, request);
  REQUIRE(answer->value);
  return *answer->value;
}

}  // namespace

TEST_CASE("pool: the least loaded adapter is chosen, and the last copy of a lease frees its place",
          "[actor][pool]") {
  actor_stage stage;
  const auto from = pool_on(stage, {3, 0});
  std::vector<adapter_lease> held;
  std::set<caf::actor_id> used;
  for (int i = 0; i < 3; ++i) {
    held.push_back(lease_of(stage, from));
    used.insert(held.back().adapter.id());
  }
  CHECK(used.size() == 3);
  const auto freed = held[1].adapter.id();
  const auto copy = held[1];
  held.erase(held.begin() + 1);
  // The copy still counts, so all three adapters have the same load, and three more leases are one more each.
  held.push_back(lease_of(stage, from));
  held.push_back(lease_of(stage, from));
  held.push_back(lease_of(stage, from));
  CHECK(copy.adapter.id() == freed);
  const_cast<adapter_lease&>(copy) = {};
  CHECK(lease_of(stage, from).adapter.id() == freed);
}

TEST_CASE("pool: over its limit it refuses everything except the model list", "[actor][pool]") {
  actor_stage stage;
  const auto from = pool_on(stage, {2, 1});
  const auto one = lease_of(stage, from);
  auto two = lease_of(stage, from);
  CHECK(stage.ask<adapter_lease>(from, lease_adapter{})->code() == errc::overloaded);
  const auto list = lease_of(stage, from, lease_adapter{0, true});
  two = {};
  CHECK(lease_of(stage, from).adapter != one.adapter);
}

TEST_CASE("pool: a full pool asks each of its neighbours once", "[actor][pool]") {
  actor_stage stage;
  const auto a = pool_on(stage, {1, 1});
  const auto b = pool_on(stage, {1, 1});
  const auto c = pool_on(stage, {1, 1});
  stage.tell(a, pool_peers{{b, c}});
  stage.tell(b, pool_peers{{c, a}});
  stage.tell(c, pool_peers{{a, b}});
  std::vector<adapter_lease> held;
  std::set<caf::actor_id> used;
  for (int i = 0; i < 3; ++i) {
    held.push_back(lease_of(stage, a));
    used.insert(held.back().adapter.id());
  }
  CHECK(used.size() == 3);
  CHECK(stage.ask<adapter_lease>(a, lease_adapter{})->code() == errc::overloaded);
  CHECK(stage.ask<adapter_lease>(c, lease_adapter{})->code() == errc::overloaded);
}

TEST_CASE("pool: an adapter that dies is replaced by one without load", "[actor][pool]") {
  actor_stage stage;
  const auto from = pool_on(stage, {1, 1});
  const auto held = lease_of(stage, from);
  stage.kill(held.adapter);
  const auto next = lease_of(stage, from);
  CHECK(next.adapter != held.adapter);
}

TEST_CASE("pool: the least busy upstream is taken, and never one that is left out", "[actor][pool]") {
  actor_stage stage;
  const auto table = std::make_shared<upstream_table>(std::vector<std::string>{"a", "b"});
  const auto from = pool_on(stage, {1, 0, table});
  std::vector<adapter_lease> held;
  for (int i = 0; i < 10; ++i) held.push_back(lease_of(stage, from));
  CHECK(table->load(0) == 5);
  CHECK(table->load(1) == 5);
  held.clear();
  CHECK(table->load(0) == 0);
  CHECK(table->load(1) == 0);
  for (int i = 0; i < 5; ++i) table->failed(0, "down");
  for (int i = 0; i < 10; ++i) held.push_back(lease_of(stage, from));
  CHECK(table->load(0) == 0);
  // An upstream that was tried is taken again if there is no other.
  CHECK(lease_of(stage, from, lease_adapter{0, false, bit_of(1)}).upstream == 1);
}

TEST_CASE("pool: an upstream that was tried is not taken again while there is another", "[actor][pool]") {
  actor_stage stage;
  const auto table = std::make_shared<upstream_table>(std::vector<std::string>{"a", "b", "c"});
  const auto from = pool_on(stage, {1, 0, table});
  for (int i = 0; i < 20; ++i)
    CHECK(lease_of(stage, from, lease_adapter{0, false, bit_of(0) | bit_of(2)}).upstream == 1);
}

TEST_CASE("pool: as a last resort upstreams that are left out are taken, except those that were tried",
          "[actor][pool]") {
  actor_stage stage;
  const auto table = std::make_shared<upstream_table>(std::vector<std::string>{"a", "b", "c"});
  const auto from = pool_on(stage, {1, 0, table});
  for (const std::size_t each : {0U, 1U})
    for (int i = 0; i < 5; ++i) table->failed(each, "down");
  const auto upstream_of = [&](upstream_set tried, bool last_resort) {
    return lease_of(stage, from, lease_adapter{.tried = tried, .last_resort = last_resort}).upstream;
  };
  std::set<std::size_t> taken;
  for (int i = 0; i < 40; ++i) taken.insert(upstream_of(bit_of(2), true));
  CHECK(taken == std::set<std::size_t>{0, 1});
  for (int i = 0; i < 10; ++i) {
    CHECK(upstream_of(bit_of(2) | bit_of(0), true) == 1);
    CHECK(upstream_of(0, true) == 2);           // a usable upstream is preferred
    CHECK(upstream_of(bit_of(2), false) == 2);  // a retry may go to the same upstream again
    CHECK(upstream_of(bit_of(0) | bit_of(1) | bit_of(2), true) == 2);
  }
}

TEST_CASE("pool: a full pool tells its neighbour that a last resort is wanted", "[actor][pool]") {
  actor_stage stage;
  const auto table = std::make_shared<upstream_table>(std::vector<std::string>{"a", "b"});
  const auto full = pool_on(stage, {2, 1, table});
  const auto other = pool_on(stage, {2, 1, table});
  stage.tell(full, pool_peers{{other}});
  const auto one = lease_of(stage, full);
  const auto two = lease_of(stage, full);
  for (int i = 0; i < 5; ++i) table->failed(0, "down");
  CHECK(lease_of(stage, full, lease_adapter{.tried = bit_of(1), .last_resort = true}).upstream == 0);
}

TEST_CASE("pool: an upstream whose adapters are full is passed over", "[actor][pool]") {
  actor_stage stage;
  const auto table = std::make_shared<upstream_table>(std::vector<std::string>{"a", "b"});
  const auto from = pool_on(stage, {2, 1, table});
  std::vector<adapter_lease> held;
  for (int i = 0; i < 2; ++i) held.push_back(lease_of(stage, from));
  CHECK(held[0].upstream != held[1].upstream);
  CHECK(stage.ask<adapter_lease>(from, lease_adapter{})->code() == errc::overloaded);
  const auto freed = held[0].upstream;
  held.erase(held.begin());
  CHECK(lease_of(stage, from).upstream == freed);
}

}  // namespace llm_proxy::test
