// Actors that fail. An exception in a handler of a shared actor or of an adapter costs at most the requests
// that the actor had at that time, and each of them gets an answer. A moment later the service works as
// before.
#include "actors/service/service_parts.hpp"
#include "support/catch.hpp"
#include "support/faulty_actors.hpp"
#include "support/upstream_chat.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

/// The size of an answer for which the session must grant more credit on the way.
constexpr std::size_t big = 300'000;
/// How soon a failed actor must be replaced. The requirement is 100 ms; this leaves room for a busy machine.
constexpr auto soon = 1500ms;

fake_script play(const llm_proxy::upstream_request& order) {
  const std::string body = order.body ? *order.body : std::string{};
  fake_script script;
  script.status = 200;
  script.headers.add("content-type", order.stream ? "text/event-stream" : "application/json");
  if (!order.stream) {
    script.steps.push_back({0ms, R"({"ok":true})"});
    return script;
  }
  const bool slow = contains(body, "slow");
  script.steps.push_back({0ms, event_of(delta)});
  if (slow) {
    for (int i = 0; i < 40; ++i) script.steps.push_back({10ms, event_of(delta)});
  } else if (contains(body, "big")) {
    script.steps.push_back({0ms, event_of(R"({"choices":[{"index":0,"delta":{"content":")" +
                                          std::string(big, 'x') + R"("},"finish_reason":null}]})")});
  }
  script.steps.push_back({0ms, event_of(stop) + event_of("[DONE]")});
  return script;
}

response upload(const proxy& service) {
  return request(service.port(), "POST", "/v1/audio/transcriptions",
                 {key_field, {"content-type", "multipart/form-data; boundary=b"}}, std::string(100'000, 'a'),
                 5s);
}

/// Whether an answer is either a whole success or an honest error.
bool is_answer(const response& got) {
  if (got.status == 500) return contains(got.body, R"("code":"internal")");
  if (got.status != 200) return false;
  if (find_header(got.headers, "content-type") != "text/event-stream") return got.complete;
  // A stream that was cut must have neither [DONE] nor a clean end of the body.
  return got.complete == contains(got.body, "[DONE]");
}

bool is_good(const response& got) {
  return got.status == 200 && got.complete && !contains(got.body, R"("code":"internal")");
}

std::vector<response> one_of_each(const proxy& service) {
  return {get(service, "/v1/models"), chat(service, chat_body("m")),
          chat(service, chat_body("m", true, "big")), upload(service), get(service, "/metrics")};
}

/// Whether GET /ui/events sends a snapshot. If an actor fails, the answer ends instead.
bool shows_events(const proxy& service) {
  raw_connection watching{service.port()};
  REQUIRE(watching.send(make_request("GET", "/ui/events", {{"host", "x"}, key_field})));
  event_stream events{watching};
  REQUIRE(events.open(5s));
  if (events.next(5s)) return true;
  CHECK(events.answer().complete);
  return false;
}

/// Leaves a stream in the middle, because nothing else makes a session cancel its stream.
void leave_a_stream(const proxy& service) {
  raw_connection leaving{service.port()};
  if (send_chat(leaving, chat_body("m", true, "slow"))) leaving.read_until(delta, 2s);
}

}  // namespace

TEST_CASE(
    "actors that fail: after an exception in any handler requests are answered and the actor is replaced",
    "[service][faults]") {
  const std::string handler =
      GENERATE("authorize", "lease_adapter", "pool_peers", "resolve_model", "registry's get_models",
               "models_changed", "refresh_due", "registry_peers", "open_stream", "body_part", "grant_credit",
               "cancel_stream", "adapter's get_models", "keys_changed", "request_slot", "leave_queue",
               "slot_freed", "tokens_spent", "limits_changed", "names_changed", "get_metrics",
               "scrape_metrics", "mailbox_probe", "metrics_peers", "metrics' keys_changed", "observe");
  CAPTURE(handler);
  const auto plan = std::make_shared<fault_plan>(handler);
  auto values = mock_settings();
  values.max_concurrent_requests = 100;  // without a limit no session asks admission for a slot
  proxy service{values, {}, {}, with_faults(plan, play)};
  const auto table = make_key_table({});
  for (const auto& each : service.shared()) {
    caf::anon_send(each.registry, refresh_due{});
    caf::anon_send(each.registry, names_changed{std::make_shared<const model_names>()});
    caf::anon_send(each.auth, keys_changed{table});
    caf::anon_send(each.metrics, keys_changed{table});
    caf::anon_send(each.metrics, mailbox_probe{steady_clock::now()});
    caf::anon_send(each.admission, limits_changed{{100, 0, std::chrono::seconds{10}}});
    caf::anon_send(each.admission, leave_queue{0});
    caf::anon_send(each.admission, tokens_spent{table->internal, 1});
    // A session returns its slot directly to the actor that granted it, so the double never gets this
    // message.
    if (handler == "slot_freed") caf::anon_send(each.admission, slot_freed{"nobody's"});
  }
  for (int i = 0; plan->struck == 0 && i < 8; ++i) {
    for (const auto& got : one_of_each(service)) {
      CAPTURE(got.status, got.body.substr(0, 300));
      CHECK(is_answer(got));
    }
    leave_a_stream(service);
    shows_events(service);
    eventually([&] { return plan->struck != 0; }, 50ms);
  }
  REQUIRE(plan->struck == 1);
  const auto since = test_clock::now();
  CHECK(eventually(
      [&] {
        const auto all = one_of_each(service);
        return std::all_of(all.begin(), all.end(), is_good) && shows_events(service);
      },
      soon));
  UNSCOPED_INFO(
      "good again after " << std::chrono::duration_cast<milliseconds>(test_clock::now() - since).count()
                          << " ms");
  // Enough requests for several on every thread.
  for (int i = 0; i < 8; ++i) CHECK(is_good(chat(service, chat_body("m"))));
  CHECK(eventually([&] { return service.in_flight() == 0; }));
}

TEST_CASE("actors that fail: streams go on when all shared actors die", "[service][faults]") {
  const auto plan = std::make_shared<fault_plan>("none");
  proxy service{mock_settings(), {}, {}, with_faults(plan, play)};
  raw_connection streaming{service.port()};
  REQUIRE(send_chat(streaming, chat_body("m", true, "slow")));
  event_stream events{streaming};
  REQUIRE(events.open(5s));
  REQUIRE(events.next(5s));
  for (const auto& each : service.shared()) {
    caf::anon_send_exit(each.auth, caf::exit_reason::kill);
    caf::anon_send_exit(each.registry, caf::exit_reason::kill);
    caf::anon_send_exit(each.pool, caf::exit_reason::kill);
    caf::anon_send_exit(each.admission, caf::exit_reason::kill);
    caf::anon_send_exit(each.metrics, caf::exit_reason::kill);
    for (const auto& observer : each.observers) caf::anon_send_exit(observer, caf::exit_reason::kill);
  }
  CHECK(eventually([&] { return is_good(chat(service, chat_body("m"))); }, soon));
  const auto rest = events.rest(5s);
  REQUIRE_FALSE(rest.empty());
  CHECK(rest.back().data == "[DONE]");
  CHECK(rest.size() == 42);
}

namespace {

/// Returns the actors of one kind on all threads.
std::vector<caf::strong_actor_ptr> kept(const proxy& service, const std::string& kind) {
  std::vector<caf::strong_actor_ptr> all;
  for (const auto& each : service.shared()) {
    if (kind == "auth") all.push_back(caf::actor_cast<caf::strong_actor_ptr>(each.auth));
    if (kind == "pool") all.push_back(caf::actor_cast<caf::strong_actor_ptr>(each.pool));
    if (kind == "registry") all.push_back(caf::actor_cast<caf::strong_actor_ptr>(each.registry));
    if (kind == "metrics") all.push_back(caf::actor_cast<caf::strong_actor_ptr>(each.metrics));
    if (kind == "admission") all = {caf::actor_cast<caf::strong_actor_ptr>(each.admission)};
    if (kind != "observer") continue;
    all.clear();
    for (const auto& one : each.observers) all.push_back(caf::actor_cast<caf::strong_actor_ptr>(one));
  }
  return all;
}

}  // namespace

TEST_CASE("actors that fail: an actor that dies repeatedly is replaced within 100 ms each time",
          "[service][faults]") {
  const std::string kind = GENERATE("auth", "pool", "registry", "metrics", "admission", "observer");
  CAPTURE(kind);
  proxy service{mock_settings()};
  std::vector<double> took;
  for (int round = 0; round < 10; ++round) {
    const auto before = kept(service, kind);
    REQUIRE(before.size() == (kind == "admission" ? 1U : 2U));
    const auto since = test_clock::now();
    for (const auto& each : before) caf::anon_send_exit(each, caf::exit_reason::kill);
    REQUIRE(eventually([&] {
      const auto now = kept(service, kind);
      bool all = true;
      for (std::size_t i = 0; i < now.size(); ++i) all = all && now[i] != before[i];
      return all;
    }));
    took.push_back(std::chrono::duration<double, std::milli>(test_clock::now() - since).count());
  }
  std::sort(took.begin(), took.end());
  UNSCOPED_INFO("replaced after " << took[5] << " ms (median), " << took.back() << " ms (most)");
  CHECK(took[5] < 100);
  for (const auto& got : one_of_each(service)) CHECK(is_good(got));
  CHECK(shows_events(service));
}

TEST_CASE("actors that fail: the counts of a dead metrics actor are kept", "[service][faults]") {
  proxy service{mock_settings()};
  for (int i = 0; i < 8; ++i) CHECK(chat(service, chat_body("m")).status == 200);
  const std::string eight =
      "llm_proxy_requests_total{route=\"/v1/chat/completions\",status=\"200\",verdict=\"complete\"} 8\n";
  CHECK(contains(get(service, "/metrics").body, eight));
  for (const auto& each : service.shared()) caf::anon_send_exit(each.metrics, caf::exit_reason::kill);
  std::string text;
  CHECK(eventually(
      [&] {
        const auto got = get(service, "/metrics");
        text = got.body;
        return got.status == 200;
      },
      soon));
  CHECK(contains(text, eight));
}

TEST_CASE("actors that fail: a dead probe is replaced, and brings an upstream back", "[service][faults]") {
  std::atomic<bool> ill{true};
  scripted_upstream sick{[&](const upstream_request& req, upstream_reply& reply) {
    if (is_chat(req) && ill) {
      reply.json(500, R"({"error":{"message":"oops","type":"None","param":"None","code":"500"}})");
    } else {
      reply.json(200, R"({"ok":true})");
    }
  }};
  scripted_upstream well{chats([](const auto&, auto& reply) { reply.json(200, R"({"ok":true})"); })};
  std::mutex lock;
  std::vector<probe_actor> probes;
  const auto spawned = [&] {
    const std::lock_guard held{lock};
    return probes;
  };
  auto values = litellm_settings(sick.url());
  values.litellm_proxy_url.push_back(well.url());
  proxy service{values, {}, {}, [&](caf::actor_system&, actor_factories& all) {
                  all.probe = [&, real = all.probe] {
                    const std::lock_guard held{lock};
                    probes.push_back(real());
                    return probes.back();
                  };
                }};
  for (int i = 0; i < 60; ++i) chat(service, chat_body("m"));
  ill = false;
  REQUIRE(eventually([&] { return spawned().size() == 1; }));
  caf::anon_send_exit(spawned().front(), caf::exit_reason::kill);
  CHECK(eventually([&] { return spawned().size() == 2; }, soon));
  sick.clear_requests();
  CHECK(eventually(
      [&] {
        CHECK(chat(service, chat_body("m")).status == 200);
        return !chats_of(sick).empty();
      },
      10s));
  const std::lock_guard held{lock};
  probes.clear();
}

TEST_CASE("actors that fail: a supervisor that cannot spawn new pools keeps the old ones",
          "[service][faults]") {
  std::atomic<bool> broken{false};
  proxy service{mock_settings(), {}, {}, [&](caf::actor_system&, actor_factories& all) {
                  for (auto& each : all.threads) {
                    each.pool = [&, real = each.pool](const adapter_factory& adapters) {
                      if (broken) throw std::bad_alloc{};
                      return real(adapters);
                    };
                  }
                }};
  const auto pools = [&] {
    std::vector<pool_actor> all;
    for (const auto& each : service.shared()) all.push_back(each.pool);
    return all;
  };
  const auto before = pools();
  broken = true;
  auto other = mock_settings();
  other.adapter_max_concurrent = 7;
  service.reconfigure(other);
  CHECK(pools() == before);
  for (const auto& got : one_of_each(service)) CHECK(is_good(got));
  // The supervisor still replaces actors that die.
  caf::anon_send_exit(service.shared().front().auth, caf::exit_reason::kill);
  broken = false;
  CHECK(eventually([&] { return is_good(chat(service, chat_body("m"))); }, soon));
  for (int i = 0; i < 4; ++i) CHECK(is_good(chat(service, chat_body("m"))));
}

TEST_CASE(
    "actors that fail: a request that waits for the first model list gets an answer if the registry dies",
    "[service][faults]") {
  scripted_upstream up{[](const upstream_request& req, upstream_reply& reply) {
    if (is_chat(req)) {
      reply.json(200, R"({"ok":true})");
    } else {
      reply.hang();
    }
  }};
  proxy service{litellm_settings(up.url())};
  raw_connection waiting{service.port()};
  REQUIRE(waiting.send(make_request("GET", "/v1/models", {{"host", "x"}, key_field})));
  REQUIRE(waiting.stays_quiet(100ms));
  for (const auto& each : service.shared()) caf::anon_send_exit(each.registry, caf::exit_reason::kill);
  CHECK(read_response(waiting, 5s).status == 500);
  CHECK(eventually([&] { return chat(service, chat_body("m")).status == 200; }, soon));
}

}  // namespace llm_proxy::test
