#include "actors/models/model_registry.hpp"

#include "support/actor_stage.hpp"

#include <string>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

model_list one_model(const std::string& id) {
  model_entry entry;
  entry.id = id;
  return std::make_shared<const std::vector<model_entry>>(1, entry);
}

/// The lists that a scripted upstream returns. It is asked through a pool that always has room.
struct scripted_models {
  model_list list;  // if null, a fetch fails
  anthropic_list anthropic;
  anthropic_list claude_code;
  bool incomplete = false;
  bool answers = true;  // if false, requests wait until answer_waiting()
  int asked = 0;
  std::vector<caf::typed_response_promise<models>> waiting;

  models answer() const { return {list, anthropic, claude_code, incomplete}; }
  void answer_waiting() {
    for (auto& promise : std::exchange(waiting, {})) promise.deliver(answer());
  }
};

pool_actor pool_of(actor_stage& stage, std::shared_ptr<scripted_models> script) {
  const auto adapter = stage.scripted<adapter_actor>([script](adapter_actor::pointer self) {
    return adapter_actor::behavior_type{
        [](const open_stream&) -> caf::result<stream_head> { return caf::sec::unexpected_message; },
        [](const body_part&) {}, [](const grant_credit&) {}, [](const cancel_stream&) {},
        [script, self](get_models) -> caf::result<models> {
          ++script->asked;
          if (!script->answers) {
            script->waiting.push_back(self->make_response_promise<models>());
            return script->waiting.back();
          }
          if (!script->list) return to_error({.code = errc::upstream_unreachable, .detail = "down"});
          return script->answer();
        }};
  });
  return stage.scripted<pool_actor>([adapter](pool_actor::pointer) {
    return pool_actor::behavior_type{[adapter](const lease_adapter& request) -> caf::result<adapter_lease> {
                                       CHECK(request.unlimited);
                                       return adapter_lease{adapter, nullptr};
                                     },
                                     [](const pool_peers&) {}};
  });
}

registry_actor registry_on(actor_stage& stage, const pool_actor& pool,
                           std::shared_ptr<service_health> health = std::make_shared<service_health>()) {
  model_registry_options options;
  options.health = std::move(health);
  options.names = std::make_shared<const model_names>(model_names{"default", {}});
  return stage.cast(spawn_on(stage.system(), stage.home(), model_registry, &stage.home(), options, pool));
}

std::string first_id(const reply<models>& answer) {
  return answer.value ? answer.value->list->front().id : "";
}

}  // namespace

TEST_CASE("registry: an empty name is the default model, any other is kept", "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  const auto registry = registry_on(stage, pool_of(stage, script));
  CHECK(stage.ask<resolved_model>(registry, resolve_model{""})->value->id == "default");
  CHECK(stage.ask<resolved_model>(registry, resolve_model{"a/b"})->value->id == "a/b");
}

TEST_CASE("registry: the first one fetches once for all requests that wait, and tells the others",
          "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->answers = false;
  const auto pool = pool_of(stage, script);
  const std::vector all{registry_on(stage, pool), registry_on(stage, pool)};
  for (const auto& each : all) stage.tell(each, registry_peers{all, {}, {}});
  const auto of_first = stage.ask<models>(all[0], get_models{});
  const auto of_second = stage.ask<models>(all[1], get_models{});
  CHECK(of_first->open());
  CHECK(of_second->open());
  CHECK(script->asked == 1);
  script->list = one_model("a");
  script->answer_waiting();
  stage.poll();
  CHECK(first_id(*of_first) == "a");
  CHECK(first_id(*of_second) == "a");
  // The second registry has a list of its own now, so it does not need the first one any more.
  stage.kill(all[0]);
  CHECK(first_id(*stage.ask<models>(all[1], get_models{})) == "a");
}

TEST_CASE("registry: a first fetch that fails is an error for waiting requests, and is tried again",
          "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->answers = false;
  const auto registry = registry_on(stage, pool_of(stage, script));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  const auto waiting = stage.ask<models>(registry, get_models{});
  for (auto& promise : std::exchange(script->waiting, {}))
    promise.deliver(to_error({.code = errc::upstream_timeout}));
  stage.poll();
  CHECK(waiting->code() == errc::upstream_timeout);
  CHECK(script->asked == 1);
  script->answers = true;
  script->list = one_model("a");
  stage.advance(9s);
  CHECK(script->asked == 1);
  stage.advance(2s);
  CHECK(script->asked == 2);
  CHECK(first_id(*stage.ask<models>(registry, get_models{})) == "a");
}

TEST_CASE("registry: a known list is served while refreshes fail, and is refreshed once they work again",
          "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->list = one_model("old");
  const auto registry = registry_on(stage, pool_of(stage, script));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  CHECK(first_id(*stage.ask<models>(registry, get_models{})) == "old");
  script->list = nullptr;
  stage.advance(5min);
  CHECK(script->asked == 2);
  CHECK(first_id(*stage.ask<models>(registry, get_models{})) == "old");
  script->list = one_model("new");
  stage.advance(10s);
  CHECK(first_id(*stage.ask<models>(registry, get_models{})) == "new");
}

TEST_CASE(
    "registry: when one of several lists cannot be fetched, its old version stays and a refresh follows soon",
    "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  const auto own = std::make_shared<const std::vector<anthropic_model>>(1, anthropic_model{"own", "{}"});
  script->list = one_model("a");
  script->anthropic = script->claude_code = own;
  const auto registry = registry_on(stage, pool_of(stage, script));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  script->list = one_model("b");
  script->anthropic = script->claude_code = nullptr;
  script->incomplete = true;
  stage.advance(5min);
  CHECK(script->asked == 2);
  const auto kept = stage.ask<models>(registry, get_models{});
  CHECK(first_id(*kept) == "b");
  CHECK(kept->value->anthropic == own);
  CHECK(kept->value->claude_code == own);
  // If LiteLLM answers that it has no such lists, the old ones are dropped.
  script->incomplete = false;
  stage.advance(11s);
  CHECK(script->asked == 3);
  CHECK(stage.ask<models>(registry, get_models{})->value->anthropic == nullptr);
}

TEST_CASE("registry: an alias is known by the id that Claude Code gets for it", "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->list = one_model("a");
  script->claude_code = std::make_shared<const std::vector<anthropic_model>>();
  const auto registry = registry_on(stage, pool_of(stage, script));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  const std::vector<std::pair<std::string, std::string>> aliases{{"fast", "a"}};
  stage.tell(registry, names_changed{std::make_shared<const model_names>(model_names{"default", aliases})});
  const auto listed = stage.ask<models>(registry, get_models{})->value->claude_code;
  REQUIRE(listed);
  REQUIRE(listed->size() == 1);
  CHECK(listed->front().id == "claude-router-66617374");
  CHECK(stage.ask<resolved_model>(registry, resolve_model{listed->front().id})->value->id == "a");
  // Any other id of this form is passed on for LiteLLM to decode.
  CHECK(stage.ask<resolved_model>(registry, resolve_model{"claude-router-61"})->value->id ==
        "claude-router-61");
}

TEST_CASE("registry: a fetch shows whether upstream can be reached, and any registry may be told to fetch",
          "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  const auto health = std::make_shared<service_health>();
  const auto pool = pool_of(stage, script);
  const std::vector all{registry_on(stage, pool, health), registry_on(stage, pool, health)};
  CHECK(health->ready());
  for (const auto& each : all) stage.tell(each, registry_peers{all, {}, {}});
  CHECK(health->usable_upstreams == 0);
  script->list = one_model("a");
  stage.tell(all[1], refresh_due{});
  CHECK(health->usable_upstreams == 1);
  CHECK(health->ready());
  CHECK(script->asked == 2);
  // Only the first registry refreshes regularly; the second one fetched because it was told to.
  stage.advance(11s);
  CHECK(script->asked == 2);
}

TEST_CASE("registry: changed names apply on every thread, and to the list", "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->list = one_model("a");
  const auto pool = pool_of(stage, script);
  const std::vector all{registry_on(stage, pool), registry_on(stage, pool)};
  for (const auto& each : all) stage.tell(each, registry_peers{all, {}, {}});
  const auto rename = [&](std::vector<std::pair<std::string, std::string>> aliases) {
    const auto names = std::make_shared<const model_names>(model_names{"other", std::move(aliases)});
    for (const auto& each : all) stage.tell(each, names_changed{names});
  };
  const auto size_of = [&](const registry_actor& which) {
    return stage.ask<models>(which, get_models{})->value->list->size();
  };
  rename({{"fast", "a"}});
  for (const auto& each : all) {
    CHECK(stage.ask<resolved_model>(each, resolve_model{"fast"})->value->id == "a");
    CHECK(stage.ask<resolved_model>(each, resolve_model{""})->value->id == "other");
    CHECK(size_of(each) == 2);
  }
  rename({});
  for (const auto& each : all) {
    CHECK(stage.ask<resolved_model>(each, resolve_model{"fast"})->value->id == "fast");
    CHECK(size_of(each) == 1);
  }
  CHECK(script->asked == 1);
}

TEST_CASE("registry: one * in an alias stands for any characters, after the names without it",
          "[actor][registry]") {
  actor_stage stage;
  const auto script = std::make_shared<scripted_models>();
  script->list = one_model("a");
  const auto registry = registry_on(stage, pool_of(stage, script));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  const std::vector<std::pair<std::string, std::string>> aliases{{"claude-opus-*", "big"},
                                                                 {"claude-*-fast", "small"},
                                                                 {"claude-*", "other"},
                                                                 {"claude-opus-4", "exact"}};
  stage.tell(registry, names_changed{std::make_shared<const model_names>(model_names{"default", aliases})});
  const auto model_of = [&](const std::string& name) {
    return stage.ask<resolved_model>(registry, resolve_model{name})->value->id;
  };
  CHECK(model_of("claude-opus-4") == "exact");
  CHECK(model_of("claude-opus-9") == "big");
  CHECK(model_of("claude-opus-") == "big");
  CHECK(model_of("claude-opus-fast") == "big");  // the first that fits
  CHECK(model_of("claude-haiku-fast") == "small");
  CHECK(model_of("claude-fast") == "other");  // begin and end must not overlap
  CHECK(model_of("Claude-opus-9") == "Claude-opus-9");
  CHECK(model_of("gpt") == "gpt");
  const auto listed = stage.ask<models>(registry, get_models{})->value->list;
  std::vector<std::string> ids;
  for (const auto& entry : *listed) ids.push_back(entry.id);
  CHECK(ids == std::vector<std::string>{"a", "claude-opus-4"});
}

TEST_CASE("registry: a new pool is asked immediately, even while a fetch from the old one is under way",
          "[actor][registry]") {
  actor_stage stage;
  const auto before = std::make_shared<scripted_models>();
  before->answers = false;
  before->list = one_model("old");
  const auto registry = registry_on(stage, pool_of(stage, before));
  stage.tell(registry, registry_peers{{registry}, {}, {}});
  const auto now = std::make_shared<scripted_models>();
  now->list = one_model("new");
  stage.tell(registry, registry_peers{{registry}, pool_of(stage, now), {}});
  before->answer_waiting();
  stage.poll();
  stage.advance(10ms);
  CHECK(now->asked == 1);
  CHECK(first_id(*stage.ask<models>(registry, get_models{})) == "new");
}

}  // namespace llm_proxy::test
