// Tests of actors that are pinned to an I/O thread, and of that thread.
#include "actors/runtime/io_worker.hpp"

#include "actors/runtime/io_scheduler.hpp"
#include "actors/runtime/pinned.hpp"
#include "http/loop/crowd.hpp"
#include "http/system/resident_memory.hpp"
#include "support/actor_stage.hpp"

#include <caf/scoped_actor.hpp>

#include <chrono>
#include <future>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llm_proxy::test {

namespace {

using namespace std::chrono_literals;

struct probe_state {
  static inline const char* name = "probe";
};

using probe = pinned_pointer<auth_actor, probe_state>;

/// Spawns an auth actor that calls `act` for each request.
auth_actor spawn_probe(caf::actor_system& system, io_worker& home, std::function<principal(probe)> act) {
  return spawn_on(system, home, [act](probe self) -> auth_actor::behavior_type {
    return {[self, act](const authorize&) { return act(self); }, [](const keys_changed&) {}};
  });
}

}  // namespace

TEST_CASE("io_worker: an actor runs on its home thread, whoever sends the message", "[actor][io_worker]") {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  config.load<io_scheduler>();
  config.load<caf::id_block::llm_proxy>();
  caf::actor_system system{config};
  auto& scheduler = io_scheduler::of(system);
  REQUIRE(scheduler.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    auto& home = scheduler.worker(i);
    std::promise<std::thread::id> home_thread;
    home.post([&] { home_thread.set_value(std::this_thread::get_id()); });
    std::thread::id ran_on;
    const auto actor = spawn_probe(system, home, [&](probe) {
      ran_on = std::this_thread::get_id();
      return principal{home.is_current() ? "home" : "abroad"};
    });
    // Requests from this thread, and then from an actor of another I/O thread.
    caf::scoped_actor self{system};
    self->request(actor, caf::infinite, authorize{})
        .receive([](const principal& who) { CHECK(who.name == "home"); },
                 [](const caf::error&) { FAIL("no answer"); });
    CHECK(ran_on == home_thread.get_future().get());
    const auto relay =
        spawn_on(system, scheduler.worker(1 - i), [actor](probe from) -> auth_actor::behavior_type {
          return {[from, actor](const authorize& asked) { return from->delegate(actor, asked); },
                  [](const keys_changed&) {}};
        });
    self->request(relay, caf::infinite, authorize{})
        .receive([](const principal& who) { CHECK(who.name == "home"); },
                 [](const caf::error&) { FAIL("no answer"); });
    for (const auto& each : {actor, relay}) caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  }
}

TEST_CASE("pinned: an exception in a handler ends that actor, and the requester gets an error",
          "[actor][io_worker]") {
  actor_stage stage;
  const auto throws = stage.cast(spawn_probe(stage.system(), stage.home(),
                                             [](probe) -> principal { throw std::runtime_error{"secret"}; }));
  const auto other =
      stage.cast(spawn_probe(stage.system(), stage.home(), [](probe) { return principal{"fine"}; }));
  CHECK(stage.ask<principal>(throws, authorize{})->code() == errc::internal);
  CHECK(stage.ask<principal>(throws, authorize{})->code() == errc::internal);
  CHECK(stage.ask<principal>(other, authorize{})->value->name == "fine");
}

TEST_CASE("pinned: an exception in a socket's handler ends its actor", "[actor][io_worker]") {
  actor_stage stage;
  probe inside = nullptr;
  const auto actor = stage.cast(spawn_probe(stage.system(), stage.home(), [&](probe self) {
    inside = self;
    return principal{};
  }));
  stage.ask<principal>(actor, authorize{});
  stage.home().post([&] { enter(inside, [] { throw std::runtime_error{"socket"}; }); });
  stage.poll();
  CHECK(stage.ask<principal>(actor, authorize{})->code() == errc::internal);
}

TEST_CASE("pinned: leave() ends an actor from a message's handler and from a socket's",
          "[actor][io_worker]") {
  actor_stage stage;
  probe inside = nullptr;
  const auto stays = stage.cast(spawn_probe(stage.system(), stage.home(), [&](probe self) {
    inside = self;
    return principal{"answered"};
  }));
  const auto leaves = stage.cast(spawn_probe(stage.system(), stage.home(), [](probe self) {
    self->leave();
    return principal{"answered"};
  }));
  CHECK(stage.ask<principal>(leaves, authorize{})->value->name == "answered");
  CHECK(stage.ask<principal>(leaves, authorize{})->error);
  CHECK(stage.ask<principal>(stays, authorize{})->value);
  stage.home().post([&] { inside->leave(); });
  stage.poll();
  CHECK(stage.ask<principal>(stays, authorize{})->error);
}

TEST_CASE("io_worker: a deadline that rearms itself fires once in a turn that is longer than its time",
          "[actor][io_worker]") {
  actor_stage stage;
  auto& home = stage.home();
  int times = 0;
  std::unique_ptr<deadline> again;
  const auto set_again = [&] {
    if (++times < 100) again->expires_after(100ms);  // bounded, so that a failing test ends
  };
  again = std::make_unique<deadline>(home.timers(), [&set_again] { set_again(); });
  again->expires_after(100ms);
  home.post([&] { std::this_thread::sleep_for(150ms); });
  stage.poll();
  CHECK(times == 1);
}

#ifndef LLM_PROXY_PLAIN_NEW
TEST_CASE("io_worker: the memory of many sockets goes back to the system some time after they have left",
          "[actor][io_worker]") {
  actor_stage stage;
  constexpr std::size_t mib = 1024 * 1024;
  std::list<counted_socket> sockets;
  for (std::size_t i = 0; i <= crowd::few; ++i) sockets.emplace_back(stage.home().sockets());
  stage.poll();
  // The last block stays above the others, so that glibc does not return them to the system by itself.
  std::vector<std::string> blocks(64 * mib / 8192, std::string(8192, 'x'));
  const auto stays = std::move(blocks.back());
  blocks.clear();
  sockets.clear();
  stage.poll();
  const auto kept = resident_bytes().value();
  stage.advance(crowd::away_after + 100ms);
  CHECK(resident_bytes().value() + 32 * mib < kept);
}
#endif

TEST_CASE("messages: a failure survives the conversion to an error and back; other errors become internal",
          "[actor][messages]") {
  const auto back = to_failure(
      to_error({.code = errc::invalid_shape, .message = "what", .detail = "why", .param = "where"}));
  CHECK(back.code == errc::invalid_shape);
  CHECK(back.message == "what");
  CHECK(back.detail == "why");
  CHECK(back.param == "where");
  CHECK(to_failure(caf::sec::request_receiver_down).code == errc::internal);
}

}  // namespace llm_proxy::test
