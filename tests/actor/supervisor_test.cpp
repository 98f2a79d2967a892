// Tests of the supervisor by itself, with scripted actors in its care: an actor that dies is replaced, and
// those that work with it are told.
#include "actors/service/supervisor.hpp"

#include "http/keys/keys.hpp"
#include "support/actor_stage.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// How many actors of one kind were spawned, and how many messages with keys they got.
struct heard {
  int spawned = 0;
  int keys = 0;
};

/// A supervisor with the actors of two threads, all of them scripted, and with two acceptors that record
/// which actors they are told of.
class supervisor_stage {
 public:
  supervisor_stage() {
    stage.home().timers().advance(1h);  // so that a first death never counts as soon after another one
    for (std::size_t i = 0; i < 2; ++i) {
      acceptors.push_back(stage.scripted<acceptor_actor>([this, i](acceptor_actor::pointer) {
        return acceptor_actor::behavior_type{[](const start_listening&) {},
                                             [](const adopt_socket&) {},
                                             [](const tls_changed&) {},
                                             [](stop_listening) { return listening_stopped{}; },
                                             [](make_room) { return room_made{false}; },
                                             [](drain) { return drained{}; },
                                             [](force_drain) {},
                                             [this, i](const shared_actors& those) {
                                               ++introductions[i];
                                               told[i] = those;
                                             },
                                             [](const session_rules_changed&) {}};
      }));
    }
    auto kept = spawn_shared(*factories());
    subject =
        stage.cast(spawn_on(stage.system(), stage.home(), supervisor, &stage.home(),
                            std::shared_ptr<const actor_factories>{factories()}, std::move(kept), acceptors));
    stage.poll();
  }

  std::shared_ptr<actor_factories> factories() {
    auto all = std::make_shared<actor_factories>();
    all->counts = counts;
    all->admission = [this] { return spawn_admission(); };
    all->probe = [this] { return spawn_probe(); };
    for (int i = 0; i < 2; ++i) {
      all->threads.push_back({&stage.home(),
                              [this] { return spawn_auth(); },
                              {},
                              [this](const adapter_factory&) { return spawn_pool(); },
                              [this](const pool_actor& pool) { return spawn_registry(pool); },
                              [this] { return spawn_metrics(); },
                              [this] { return spawn_observer(); }});
    }
    return all;
  }

  /// Records that an actor of this kind is spawned. Throws while `kind` is broken.
  void note(const std::string& kind) {
    if (kind == broken) throw std::runtime_error{"no " + kind + " today"};
    ++record[kind].spawned;
  }
  auth_actor spawn_auth() {
    note("auth");
    return stage.scripted<auth_actor>([this](auth_actor::pointer) {
      return auth_actor::behavior_type{[](const authorize&) { return principal{}; },
                                       [this](const keys_changed&) { ++record["auth"].keys; }};
    });
  }
  admission_actor spawn_admission() {
    note("admission");
    return stage.scripted<admission_actor>([](admission_actor::pointer) {
      return admission_actor::behavior_type{[](const request_slot&) { return slot_decision{}; },
                                            [](const leave_queue&) {}, [](const slot_freed&) {},
                                            [](const tokens_spent&) {}, [](const limits_changed&) {}};
    });
  }
  registry_actor spawn_registry(const pool_actor& pool) {
    note("registry");
    registry_pools.push_back(pool);
    return stage.scripted<registry_actor>([](registry_actor::pointer) {
      return registry_actor::behavior_type{
          [](const resolve_model& asked) { return resolved_model{asked.name}; },
          [](get_models) { return models{}; },
          [](const models_changed&) {},
          [](refresh_due) {},
          [](const registry_peers&) {},
          [](const names_changed&) {}};
    });
  }
  pool_actor spawn_pool() {
    note("pool");
    return stage.scripted<pool_actor>([](pool_actor::pointer) {
      return pool_actor::behavior_type{
          [](const lease_adapter&) -> caf::result<adapter_lease> { return caf::sec::unexpected_message; },
          [](const pool_peers&) {}};
    });
  }
  metrics_actor spawn_metrics() {
    note("metrics");
    return stage.scripted<metrics_actor>([this](metrics_actor::pointer) {
      return metrics_actor::behavior_type{[](get_metrics) { return metrics_snapshot{}; },
                                          [](const scrape_metrics&) { return metrics_text{}; },
                                          [](mailbox_probe) {}, [](const metrics_peers&) {},
                                          [this](const keys_changed&) { ++record["metrics"].keys; }};
    });
  }
  observer_actor spawn_observer() {
    note("observer");
    return stage.scripted<observer_actor>([](observer_actor::pointer) {
      return observer_actor::behavior_type{[](const observe&) { return observed{}; }};
    });
  }
  probe_actor spawn_probe() {
    note("probe");
    probe = stage.scripted<probe_actor>([](probe_actor::pointer) {
      return probe_actor::behavior_type{[](probe_due) {}, [](const upstream_suspected&) {}};
    });
    return probe;
  }

  std::vector<shared_actors> kept() {
    const auto answer = stage.ask<all_shared_actors>(subject, get_shared_actors{});
    REQUIRE(answer->value);
    return answer->value->by_thread;
  }

  actor_stage stage;
  std::shared_ptr<actor_counts> counts = std::make_shared<actor_counts>();
  std::map<std::string, heard> record;
  std::string broken;
  std::vector<pool_actor> registry_pools;  // the pool with which each registry was spawned
  std::vector<acceptor_actor> acceptors;
  int introductions[2] = {0, 0};
  shared_actors told[2];
  probe_actor probe;
  supervisor_actor subject;
};

}  // namespace

TEST_CASE("supervisor: each kind of actor that dies is replaced, and the acceptors of all threads are told",
          "[actor][supervisor]") {
  supervisor_stage on;
  CHECK(on.introductions[0] == 1);
  const auto before = on.kept();
  const auto dies = [&](const std::string& kind, const auto& victim, const auto& of) {
    INFO(kind);
    const auto spawned = on.record[kind].spawned;
    const auto replaced = on.counts->replaced.load();
    const auto heard_of = on.introductions[1];
    on.stage.advance(1s);
    on.stage.kill(victim);
    CHECK(on.record[kind].spawned == spawned + 1);
    CHECK(on.counts->replaced == replaced + 1);
    CHECK(on.introductions[1] == heard_of + 1);
    const auto now = on.kept();
    CHECK(of(now[1]) != victim);
    CHECK(of(on.told[1]) == of(now[1]));
  };
  dies("auth", before[1].auth, [](const shared_actors& all) { return all.auth; });
  dies("metrics", before[1].metrics, [](const shared_actors& all) { return all.metrics; });
  dies("pool", before[1].pool, [](const shared_actors& all) { return all.pool; });
  dies("registry", before[1].registry, [](const shared_actors& all) { return all.registry; });
  dies("admission", before[0].admission, [](const shared_actors& all) { return all.admission; });
  dies("observer", before[0].observers[1], [](const shared_actors& all) { return all.observers[1]; });
  // Actors that all threads share are the same for all.
  CHECK(on.told[0].admission == on.told[1].admission);
  CHECK(on.told[0].observers == on.told[1].observers);
  // The other thread's own actors were left alone.
  CHECK(on.kept()[0].auth == before[0].auth);
  // The registry that was restarted last leases its adapters from the pool that runs on its thread now.
  CHECK(on.registry_pools.back() == on.kept()[1].pool);
}

TEST_CASE("supervisor: a probe that dies is replaced", "[actor][supervisor]") {
  supervisor_stage on;
  on.stage.advance(1s);
  on.stage.kill(on.probe);
  CHECK(on.record["probe"].spawned == 2);
  // The acceptors are told of it, because sessions tell the probe which upstream is silent.
  CHECK(on.told[0].probe == on.probe);
  CHECK(on.told[1].probe == on.probe);
}

TEST_CASE("supervisor: an actor that dies again and again is replaced every 50 ms, not in a loop",
          "[actor][supervisor]") {
  supervisor_stage on;
  on.stage.advance(1s);
  on.stage.kill(on.kept()[0].auth);
  const auto spawned = on.record["auth"].spawned;
  on.stage.kill(on.kept()[0].auth);
  CHECK(on.record["auth"].spawned == spawned);
  on.stage.advance(25ms);
  CHECK(on.record["auth"].spawned == spawned);
  on.stage.advance(25ms);
  CHECK(on.record["auth"].spawned == spawned + 1);
}

TEST_CASE("supervisor: an actor that cannot be replaced now is replaced later", "[actor][supervisor]") {
  supervisor_stage on;
  on.stage.advance(1s);
  const auto dead = on.kept()[0].pool;
  on.broken = "pool";
  on.stage.kill(dead);
  CHECK(on.kept()[0].pool == dead);
  on.stage.advance(50ms);
  CHECK(on.kept()[0].pool == dead);
  on.broken.clear();
  on.stage.advance(50ms);
  CHECK(on.kept()[0].pool != dead);
  CHECK(on.told[0].pool == on.kept()[0].pool);
}

TEST_CASE("supervisor: keys reach all actors that need them, and those that are spawned afterwards",
          "[actor][supervisor]") {
  supervisor_stage on;
  on.stage.advance(1s);
  on.stage.kill(on.kept()[0].auth);
  CHECK(on.record["auth"].keys == 0);  // the factories spawn them with the first keys
  on.stage.tell(on.subject, keys_changed{std::make_shared<const key_table>()});
  CHECK(on.record["auth"].keys == 2);
  CHECK(on.record["metrics"].keys == 2);
  on.stage.advance(1s);
  on.stage.kill(on.kept()[0].auth);
  on.stage.advance(1s);
  on.stage.kill(on.kept()[1].metrics);
  CHECK(on.record["auth"].keys == 3);
  CHECK(on.record["metrics"].keys == 3);
}

TEST_CASE("supervisor: the pools of all threads are replaced together or not at all", "[actor][supervisor]") {
  supervisor_stage on;
  const auto before = on.kept();
  const auto heard_of = on.introductions[0];
  on.broken = "pool";
  on.stage.tell(on.subject, reconfigured{on.factories(), true, {}, std::make_shared<const model_names>()});
  CHECK(on.kept()[0].pool == before[0].pool);
  CHECK(on.introductions[0] == heard_of);
  on.broken.clear();
  on.stage.tell(on.subject, reconfigured{on.factories(), true, {}, std::make_shared<const model_names>()});
  CHECK(on.kept()[0].pool != before[0].pool);
  CHECK(on.kept()[1].pool != before[1].pool);
  CHECK(on.told[1].pool == on.kept()[1].pool);
  CHECK(on.record["probe"].spawned == 2);
  // An old pool is no longer supervised, so its death spawns no new one.
  const auto spawned = on.record["pool"].spawned;
  on.stage.advance(1s);
  on.stage.kill(before[0].pool);
  CHECK(on.record["pool"].spawned == spawned);
}

TEST_CASE("supervisor: it ends the actors that it keeps", "[actor][supervisor]") {
  supervisor_stage on;
  const auto kept = on.kept();
  caf::anon_send_exit(on.subject, caf::exit_reason::user_shutdown);
  on.stage.poll();
  const auto is_gone = [&](const auto& actor, auto question) {
    using answer_type = std::decay_t<decltype(question.second)>;
    return on.stage.ask<answer_type>(actor, question.first)->error.has_value();
  };
  for (const auto& each : kept) {
    CHECK(is_gone(each.auth, std::pair{authorize{}, principal{}}));
    CHECK(is_gone(each.registry, std::pair{get_models{}, models{}}));
    CHECK(is_gone(each.metrics, std::pair{get_metrics{}, metrics_snapshot{}}));
  }
  CHECK(is_gone(kept[0].observers[0], std::pair{observe{}, observed{}}));
}

}  // namespace llm_proxy::test
