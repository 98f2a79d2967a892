// Doubles of the shared actors, whose handlers throw when a test wants it. A double passes its messages on to
// the real actor, and ends the real actor when it dies. So it looks as if the real actor's own handler had
// thrown.
#pragma once

#include "actors/runtime/io_scheduler.hpp"
#include "actors/service/proxy.hpp"
#include "actors/service/supervisor.hpp"
#include "adapters/fake/fake.hpp"
#include "adapters/pool.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace llm_proxy::test {

/// Which handler throws, and how many more times.
class fault_plan {
 public:
  explicit fault_plan(std::string handler, int times = 1) : handler_{std::move(handler)}, left_{times} {}

  /// Throws if `handler` is the chosen one and has throws left.
  void pass(std::string_view handler) {
    if (handler != handler_ || left_.fetch_sub(1) <= 0) return;
    ++struck;
    throw std::runtime_error{"a fault of the test in " + handler_};
  }

  std::atomic<int> struck{0};

 private:
  std::string handler_;
  std::atomic<int> left_;
};
using fault_plan_ptr = std::shared_ptr<fault_plan>;

template <class Handle>
struct faulty_state {
  static inline const char* name = "faulty";

  faulty_state() = default;
  ~faulty_state() {
    if (real) caf::anon_send_exit(real, caf::exit_reason::user_shutdown);
  }

  Handle real;
  fault_plan_ptr plan;
};
template <class Handle>
using faulty_pointer = pinned_pointer<Handle, faulty_state<Handle>>;

/// A handler that throws if the plan says so, and otherwise passes the request on.
#define FAULTY_QUESTION(self, message, answer)                 \
  [self](message& asked) -> caf::result<answer> {              \
    self->state.plan->pass(#message);                          \
    return self->delegate(self->state.real, std::move(asked)); \
  }
#define FAULTY_NOTE(self, message)                 \
  [self](message& said) {                          \
    self->state.plan->pass(#message);              \
    self->send(self->state.real, std::move(said)); \
  }

inline auth_actor::behavior_type faulty_auth(faulty_pointer<auth_actor> self, auth_actor real,
                                             fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, authorize, principal), FAULTY_NOTE(self, keys_changed)};
}

inline admission_actor::behavior_type faulty_admission(faulty_pointer<admission_actor> self,
                                                       admission_actor real, fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, request_slot, slot_decision), FAULTY_NOTE(self, leave_queue),
          FAULTY_NOTE(self, slot_freed), FAULTY_NOTE(self, tokens_spent), FAULTY_NOTE(self, limits_changed)};
}

inline pool_actor::behavior_type faulty_pool(faulty_pointer<pool_actor> self, pool_actor real,
                                             fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, lease_adapter, adapter_lease), FAULTY_NOTE(self, pool_peers)};
}

inline registry_actor::behavior_type faulty_registry(faulty_pointer<registry_actor> self, registry_actor real,
                                                     fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, resolve_model, resolved_model),
          [self](get_models& asked) -> caf::result<models> {
            self->state.plan->pass("registry's get_models");
            return self->delegate(self->state.real, asked);
          },
          FAULTY_NOTE(self, models_changed),
          FAULTY_NOTE(self, refresh_due),
          [self](registry_peers& peers) {
            self->state.plan->pass("registry_peers");
            // The real actor knows itself by its own handle, not by that of its double.
            for (auto& each : peers.all) {
              if (each == self) each = self->state.real;
            }
            self->send(self->state.real, std::move(peers));
          },
          FAULTY_NOTE(self, names_changed)};
}

inline adapter_actor::behavior_type faulty_adapter(faulty_pointer<adapter_actor> self, adapter_actor real,
                                                   fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, open_stream, stream_head), FAULTY_NOTE(self, body_part),
          FAULTY_NOTE(self, grant_credit), FAULTY_NOTE(self, cancel_stream),
          [self](get_models& asked) -> caf::result<models> {
            self->state.plan->pass("adapter's get_models");
            return self->delegate(self->state.real, asked);
          }};
}

inline observer_actor::behavior_type faulty_observer(faulty_pointer<observer_actor> self, observer_actor real,
                                                     fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, observe, observed)};
}

inline metrics_actor::behavior_type faulty_metrics(faulty_pointer<metrics_actor> self, metrics_actor real,
                                                   fault_plan_ptr plan) {
  self->state.real = std::move(real);
  self->state.plan = std::move(plan);
  return {FAULTY_QUESTION(self, get_metrics, metrics_snapshot),
          FAULTY_QUESTION(self, scrape_metrics, metrics_text), FAULTY_NOTE(self, mailbox_probe),
          FAULTY_NOTE(self, metrics_peers), [self](keys_changed& news) {
            self->state.plan->pass("metrics' keys_changed");
            self->send(self->state.real, std::move(news));
          }};
}

/// Puts doubles that follow `plan` in front of all shared actors. The adapters are fake ones that use
/// `author`.
inline factory_editor with_faults(const fault_plan_ptr& plan, const fake_author& author) {
  return [plan, author](caf::actor_system& system, actor_factories& all) {
    auto& first = io_scheduler::of(system).worker(0);
    all.admission = [&system, &first, plan, real = all.admission] {
      return spawn_on(system, first, faulty_admission, real(), plan);
    };
    for (std::size_t i = 0; i < all.threads.size(); ++i) {
      auto& made = all.threads[i];
      auto& home = *made.home;
      made.auth = [&system, &home, plan, real = made.auth] {
        return spawn_on(system, home, faulty_auth, real(), plan);
      };
      made.registry = [&system, &home, plan, real = made.registry](pool_actor from) {
        return spawn_on(system, home, faulty_registry, real(std::move(from)), plan);
      };
      made.metrics = [&system, &home, plan, real = made.metrics] {
        return spawn_on(system, home, faulty_metrics, real(), plan);
      };
      made.observer = [&system, &home, plan, real = made.observer] {
        return spawn_on(system, home, faulty_observer, real(), plan);
      };
      made.adapter = [&system, &home, plan, author](std::size_t) {
        return spawn_on(system, home, faulty_adapter, spawn_on(system, home, fake, &home, author), plan);
      };
      made.pool = [&system, &home, plan](const adapter_factory& adapters) {
        return spawn_on(system, home, faulty_pool, spawn_on(system, home, pool, pool_options{1, 0}, adapters),
                        plan);
      };
    }
  };
}

}  // namespace llm_proxy::test
