#include "actors/service/wiring.hpp"

#include "actors/access/admission.hpp"
#include "actors/access/auth.hpp"
#include "actors/models/model_registry.hpp"
#include "actors/runtime/io_scheduler.hpp"
#include "actors/service/proxy_options.hpp"
#include "actors/telemetry/metrics.hpp"
#include "adapters/fake/fake.hpp"
#include "adapters/litellm/litellm.hpp"
#include "adapters/litellm/upstream_probe.hpp"
#include "adapters/pool.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

std::shared_ptr<upstream_table> make_table(const std::vector<litellm_options>& upstreams) {
  if (upstreams.empty()) return nullptr;
  std::vector<std::string> names;
  for (const auto& each : upstreams) names.push_back(each.address.host + ":" + each.address.port);
  return std::make_shared<upstream_table>(std::move(names));
}

/// What the factories of all threads are made from.
struct wiring_plan {
  service_parts& parts;
  const settings& values;
  std::vector<litellm_options> upstreams;  // empty in mock mode
  std::shared_ptr<upstream_table> table;
};

adapter_factory make_adapter_factory(const wiring_plan& plan, io_worker& home, std::size_t thread) {
  auto& system = *plan.parts.system;
  if (plan.upstreams.empty()) {
    auto plays = plan.parts.author ? plan.parts.author : mock_author(plan.values.mock_chunk_delay_ms);
    return [&system, &home, plays = std::move(plays)](std::size_t) {
      return spawn_on(system, home, fake, &home, plays);
    };
  }
  auto upstreams = plan.upstreams;
  for (auto& each : upstreams) each.counted = plan.parts.counted[thread];
  return [&system, &home, upstreams = std::move(upstreams)](std::size_t which) {
    return spawn_on(system, home, litellm, &home, upstreams[which]);
  };
}

/// Returns how many adapters a thread gets. They are spread evenly, and every thread gets at least one.
std::size_t adapters_of(const settings& values, std::size_t thread) {
  const auto threads = values.thread_count();
  const auto all = values.adapter_pool_size > 0 ? values.adapter_pool_size : threads;
  return std::max<std::size_t>(1, all / threads + (thread < all % threads ? 1 : 0));
}

shared_actor_factories make_thread_factories(const wiring_plan& plan, std::size_t thread) {
  auto& parts = plan.parts;
  const auto& values = plan.values;
  auto& system = *parts.system;
  auto& home = io_scheduler::of(system).worker(thread);
  const std::string internal_key = internal_key_counts(values) ? values.internal_api_key : std::string{};
  const pool_options pool_values{adapters_of(values, thread), values.adapter_max_concurrent, plan.table,
                                 parts.actors_counted};
  model_registry_options registry_values;
  registry_values.names = make_names(values);
  registry_values.health = parts.health;
  const metrics_sources sources{values.version,
                                parts.commit,
                                parts.in_flight,
                                parts.gauges,
                                parts.connections,
                                parts.actors_counted,
                                parts.tracing ? parts.tracing->finished : nullptr,
                                parts.scrapes};
  return {
      .home = &home,
      .auth = [&system, &home, internal_key,
               keys = parts.keys] { return spawn_on(system, home, auth, internal_key, keys); },
      .adapter = make_adapter_factory(plan, home, thread),
      .pool =
          [&system, &home, pool_values](const adapter_factory& adapter) {
            return spawn_on(system, home, pool, pool_values, adapter);
          },
      .registry =
          [&system, &home, registry_values](pool_actor from) {
            return spawn_on(system, home, model_registry, &home, registry_values, std::move(from));
          },
      .metrics =
          [&system, &home, sources, keys = parts.keys, counted = parts.counted[thread]] {
            return spawn_on(system, home, metrics, &home, counted, sources, keys);
          },
      .observer = [&system, &home,
                   live = parts.live[thread]] { return spawn_on(system, home, observer, live); },
  };
}

}  // namespace

std::shared_ptr<const actor_factories> make_factories(service_parts& parts, const settings& values,
                                                      const std::shared_ptr<upstream_tls>& tls) {
  wiring_plan plan{parts, values, make_upstreams(values, tls), {}};
  const bool same_table = parts.upstreams && same_pools(parts.values, values);
  plan.table = same_table ? parts.upstreams : make_table(plan.upstreams);
  auto& system = *parts.system;
  auto& first = io_scheduler::of(system).worker(0);
  auto made = std::make_shared<actor_factories>();
  made->counts = parts.actors_counted;
  made->upstreams = plan.table;
  for (std::size_t thread = 0; thread < values.thread_count(); ++thread)
    made->threads.push_back(make_thread_factories(plan, thread));
  made->admission = [&system, &first, limits = make_limits(values), gauges = parts.gauges] {
    return spawn_on(system, first, admission, &first, limits, gauges);
  };
  if (plan.upstreams.size() > 1) {
    made->probe = [&system, &first, upstreams = plan.upstreams, table = plan.table] {
      return spawn_on(system, first, upstream_probe, &first, upstreams, table);
    };
  }
  if (parts.edit) parts.edit(system, *made);
  return made;
}

}  // namespace llm_proxy
