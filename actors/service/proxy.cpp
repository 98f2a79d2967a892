#include "actors/service/proxy.hpp"

#include "actors/access/admission.hpp"
#include "actors/access/auth.hpp"
#include "actors/models/model_registry.hpp"
#include "actors/runtime/io_scheduler.hpp"
#include "actors/service/acceptor.hpp"
#include "actors/service/proxy_options.hpp"
#include "actors/service/proxy_traces.hpp"
#include "actors/session/session.hpp"
#include "actors/telemetry/metrics.hpp"
#include "adapters/litellm/litellm.hpp"
#include "adapters/litellm/upstream_probe.hpp"
#include "adapters/pool.hpp"
#include "http/downstream/listener.hpp"
#include "http/keys/keys_file.hpp"

#include <caf/scoped_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace llm_proxy {

namespace {

std::shared_ptr<upstream_table> make_table(const std::vector<litellm_options>& upstreams) {
  if (upstreams.empty()) return nullptr;
  std::vector<std::string> names;
  for (const auto& each : upstreams) names.push_back(each.address.host + ":" + each.address.port);
  return std::make_shared<upstream_table>(std::move(names));
}

adapter_factory make_factory(const settings& values, const fake_author& author,
                             std::vector<litellm_options> upstreams, caf::actor_system& system,
                             io_worker& home, const std::shared_ptr<thread_metrics>& counted) {
  for (auto& each : upstreams) each.counted = counted;
  if (upstreams.empty()) {
    auto plays = author ? author : mock_author(values.mock_chunk_delay_ms);
    return [&system, &home, plays = std::move(plays)](std::size_t) {
      return spawn_on(system, home, fake, &home, plays);
    };
  }
  return [&system, &home, upstreams = std::move(upstreams)](std::size_t which) {
    return spawn_on(system, home, litellm, &home, upstreams[which]);
  };
}

/// The keys of the file; a file that cannot be used is the operator's to mend.
key_table_ptr read_keys(const std::string& file, std::shared_ptr<key_uses> uses) {
  if (file.empty()) return make_key_table({}, nullptr, std::move(uses));
  auto read = read_keys_file(file);
  if (!read.faults.empty()) {
    throw std::runtime_error{"LLM_PROXY__INTERNAL_API_KEYS_FILE: " + read.faults.front() + " (" + file + ")"};
  }
  return make_key_table(std::move(read.entries), nullptr, std::move(uses));
}

/// HOST has been checked for this with the settings; a socket handed over has not.
void check_default_key(const settings& values, const boost::asio::ip::address& bound) {
  const auto fault = refuse_default_key(values, bound.to_string(), "the socket of LISTEN_FDS");
  if (!fault.empty()) throw std::runtime_error{fault};
}

server_tls load_tls(const tls_files& files) {
  if (!files.any()) return nullptr;
  std::vector<std::string> faults;
  auto tls = load_server_tls(files, faults);
  if (!tls) throw std::runtime_error{faults.front()};
  return tls;
}

/// What a thread counts, and who reads it.
struct thread_records {
  std::shared_ptr<thread_metrics> counted;
  metrics_sources sources;
  std::shared_ptr<live_sessions> live;
};

shared_actor_factories make_thread_factories(
    const settings& values, const fake_author& author, std::size_t adapters,
    const std::vector<litellm_options>& upstreams, const std::shared_ptr<upstream_table>& table,
    caf::actor_system& system, io_worker& home, const key_table_ptr& keys,
    std::shared_ptr<service_health> health, const thread_records& records,
    const std::shared_ptr<actor_counts>& counts) {
  model_registry_options registry_options;
  registry_options.names = make_names(values);
  registry_options.health = std::move(health);
  shared_actor_factories made;
  made.home = &home;
  const std::string internal_key = internal_key_counts(values) ? values.internal_api_key : std::string{};
  made.auth = [&system, &home, internal_key, keys] {
    return spawn_on(system, home, auth, internal_key, keys);
  };
  made.adapter = make_factory(values, author, upstreams, system, home, records.counted);
  made.pool = [&system, &home,
               options = pool_options{adapters, values.adapter_max_concurrent, table, counts}](
                  const adapter_factory& spawn_adapter) {
    return spawn_on(system, home, pool, options, spawn_adapter);
  };
  made.registry = [&system, &home, registry_options](pool_actor from) {
    return spawn_on(system, home, model_registry, &home, registry_options, std::move(from));
  };
  made.metrics = [&system, &home, keys, counted = records.counted, sources = records.sources] {
    return spawn_on(system, home, metrics, &home, counted, sources, keys);
  };
  made.observer = [&system, &home, live = records.live] { return spawn_on(system, home, observer, live); };
  return made;
}

}  // namespace

tls_files listener_tls(const settings& values) {
  return {values.tls_cert_file, values.tls_key_file, values.tls_client_ca_file};
}

std::shared_ptr<actor_factories> proxy::make_factories(const settings& values,
                                                       const std::shared_ptr<upstream_tls>& tls) {
  const auto upstreams = make_upstreams(values, tls);
  auto& scheduler = io_scheduler::of(*system_);
  auto& first = scheduler.worker(0);
  const auto threads = values.thread_count();
  const auto adapters = values.adapter_pool_size > 0 ? values.adapter_pool_size : threads;
  auto made = std::make_shared<actor_factories>();
  made->counts = actor_counts_;
  made->upstreams = upstreams_ && same_pools(values_, values) ? upstreams_ : make_table(upstreams);
  made->admission = [this, limits = make_limits(values), &first] {
    return spawn_on(*system_, first, admission, &first, limits, gauges_);
  };
  for (std::size_t i = 0; i < threads; ++i) {
    // Dealt out evenly, at least one per thread.
    const auto share = std::max<std::size_t>(1, adapters / threads + (i < adapters % threads ? 1 : 0));
    const thread_records records{counted_[i],
                                 {values.version, commit_, in_flight_, gauges_, connections_, actor_counts_,
                                  tracing_ ? tracing_->finished : nullptr, scrapes_},
                                 live_[i]};
    made->threads.push_back(make_thread_factories(values, author_, share, upstreams, made->upstreams,
                                                  *system_, scheduler.worker(i), keys_, health_, records,
                                                  actor_counts_));
  }
  if (upstreams.size() > 1) {
    made->probe = [this, upstreams, table = made->upstreams, &first] {
      return spawn_on(*system_, first, upstream_probe, &first, upstreams, table);
    };
  }
  if (edit_) edit_(*system_, *made);
  return made;
}

proxy::proxy(const settings& values, fake_author author, std::optional<int> inherited, factory_editor edit,
             std::span<const route> own_routes, std::string_view commit)
    : values_{values},
      author_{std::move(author)},
      edit_{std::move(edit)},
      own_routes_{own_routes},
      commit_{commit},
      keys_file_{values.internal_api_keys_file},
      keys_{read_keys(keys_file_, std::make_shared<key_uses>(families_->room))},
      in_flight_{std::make_shared<std::atomic<std::size_t>>(0)},
      tls_files_{listener_tls(values)} {
  const auto threads = values.thread_count();
  config_.set("scheduler.max-threads", threads);
  config_.load<io_scheduler>();
  config_.load<caf::id_block::llm_proxy>();
  // Before any thread: what cannot listen need not start.
  upstream_tls_ = read_litellm_tls(values);
  make_upstreams(values, upstream_tls_);
  check_tracing(values);
  const auto tls = load_tls(tls_files_);
  boost::asio::io_context io;
  auto listener = inherited ? adopt_listener(io, *inherited) : open_listener(io, values.host, values.port);
  const auto bound = listener.local_endpoint();
  std::optional<boost::asio::ip::tcp::acceptor> admin;
  if (values.admin_port != 0)
    admin = open_listener(io, values.host, values.admin_port, "LLM_PROXY__ADMIN_PORT");
  if (inherited) check_default_key(values, bound.address());
  host_ = bound.address().to_string();
  port_ = bound.port();

  system_ = std::make_unique<caf::actor_system>(config_);
  auto& scheduler = io_scheduler::of(*system_);
  connections_ = std::make_shared<connection_counts>(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    counted_.push_back(std::make_shared<thread_metrics>(families_));
    live_.push_back(std::make_shared<live_sessions>());
  }
  tracing_ = start_tracing(values, *system_, scheduler.worker(0));
  const std::shared_ptr<const actor_factories> factories = make_factories(values, upstream_tls_);
  upstreams_ = factories->upstreams;
  auto kept = spawn_shared(*factories);
  session_context common;
  common.options = make_session_options(values, own_routes_);
  common.memory = make_ceiling(values);
  common.in_flight = in_flight_;
  common.budget = std::make_shared<retry_budget>();
  common.health = health_;
  common.tracing = tracing_;
  for (std::size_t i = 0; i < threads; ++i) {
    auto& home = scheduler.worker(i);
    auto context = std::make_shared<session_context>(common);
    context->home = &home;
    context->live = live_[i];
    context->auth = kept[i].auth;
    context->registry = kept[i].registry;
    context->pool = kept[i].pool;
    context->admission = kept[i].admission;
    context->upstreams = kept[i].upstreams;
    context->metrics = kept[i].metrics;
    context->observers = kept[i].observers;
    context->counted = counted_[i];
    acceptors_.push_back(spawn_on(
        *system_, home, acceptor, &home,
        acceptor_options{client_timeouts(values), context, connections_, connection_limit(values), tls}));
  }
  auto told = acceptors_;
  if (admin) {
    spawn_admin(values, common, kept.front(), admin->release());
    told.push_back(admin_);
  }
  auto& first = scheduler.worker(0);
  supervisor_ = spawn_on(*system_, first, supervisor, &first, factories, std::move(kept), std::move(told));
  caf::anon_send(acceptors_.front(), start_listening{listener.release(), inherited.has_value(), acceptors_});
}

/// ADMIN_PORT has an acceptor of its own: it listens until the end, also while the service drains. What it is
/// asked counts nowhere: it would be the monitoring's own traffic.
void proxy::spawn_admin(const settings& values, const session_context& common, const shared_actors& kept,
                        int descriptor) {
  constexpr std::size_t most = 64;
  auto& home = io_scheduler::of(*system_).worker(0);
  auto context = std::make_shared<session_context>(common);
  context->home = &home;
  context->admin = true;
  context->upstreams = kept.upstreams;
  context->metrics = kept.metrics;
  admin_ = spawn_on(*system_, home, acceptor, &home,
                    acceptor_options{client_timeouts(values), context, std::make_shared<connection_counts>(1),
                                     most, nullptr});
  std::vector<acceptor_actor> all{admin_};
  all.insert(all.end(), acceptors_.begin(), acceptors_.end());
  caf::anon_send(admin_, start_listening{descriptor, false, std::move(all)});
}

void proxy::reconfigure(const settings& values, std::shared_ptr<upstream_tls> tls) {
  if (!tls) tls = read_litellm_tls(values);
  const auto factories = make_factories(values, tls);
  const bool same_tls = !tls || (upstream_tls_ && upstream_tls_->same_as(*tls));
  const bool new_pools = !same_pools(values_, values) || !same_tls;
  // Pools before the rules that count on them.
  caf::anon_send(supervisor_, reconfigured{factories, new_pools, make_limits(values), make_names(values)});
  shared();
  const auto rules = std::make_shared<const session_options>(make_session_options(values, own_routes_));
  const auto memory = make_ceiling(values);
  for (const auto& each : acceptors_) caf::anon_send(each, session_rules_changed{rules, memory});
  upstreams_ = factories->upstreams;
  values_ = values;
  upstream_tls_ = std::move(tls);
}

void proxy::reload_tls() {
  if (!tls_files_.any()) return;
  std::vector<std::string> faults;
  use_tls(load_server_tls(tls_files_, faults), faults);
}

void proxy::use_tls(const server_tls& tls, const std::vector<std::string>& faults) {
  for (const auto& fault : faults) spdlog::error("{}; the certificate in use stays", fault);
  if (!tls) return;
  for (const auto& each : acceptors_) caf::anon_send(each, tls_changed{tls});
  spdlog::info("TLS files read again");
}

void proxy::announce_drain() {
  health_->draining = true;
}

bool proxy::drain_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting) {
  const bool whole = end_connections(timeout, stop_waiting);
  if (tracing_) flush_spans_at_end();
  return whole;
}

/// What has ended so far is exported; a collector that takes too long does not hold up the end.
void proxy::flush_spans_at_end() {
  constexpr auto most = std::chrono::seconds{2};
  caf::scoped_actor self{*system_};
  self->send(tracing_->exporter, flush_spans{});
  self->receive(
      [](spans_flushed) {},
      caf::after(most) >> [] { spdlog::warn("traces: the last spans could not be exported in time"); });
}

bool proxy::end_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting) {
  announce_drain();
  caf::scoped_actor self{*system_};
  // First of all: what it still takes in, the other threads must get before they are told to drain.
  self->send(acceptors_.front(), stop_listening{});
  self->receive([](listening_stopped) {}, caf::after(std::chrono::seconds{5}) >>
                                              [] { spdlog::error("the listener did not stop in time"); });
  std::set<caf::actor_id> open;  // acceptors with connections left
  bool whole = true;
  for (const auto& each : acceptors_) {
    open.insert(each.id());
    self->monitor(each);
    self->send(each, drain{});
  }
  const auto wait = [&](std::chrono::milliseconds limit, const std::function<bool()>& stop) {
    const auto started = steady_clock::now();
    while (!open.empty()) {
      self->receive([&](drained) { open.erase(self->current_sender()->id()); },
                    [&](const caf::down_msg& down) {
                      // Nothing is left of its connections: waiting for it would never end.
                      if (open.erase(down.source.id()) > 0) whole = false;
                    },
                    caf::after(std::chrono::milliseconds{50}) >> [] {});
      const bool late = limit.count() > 0 && steady_clock::now() - started >= limit;
      if (late || (stop && stop())) break;
    }
    return open.empty();
  };
  if (wait(timeout, stop_waiting)) return whole;
  for (const auto& each : acceptors_) caf::anon_send(each, force_drain{});
  // Errors are written, clients read them: a moment, then the destructor closes what is left.
  wait(std::chrono::seconds{3}, {});
  return false;
}

std::vector<std::string> proxy::reload_keys() {
  if (keys_file_.empty()) return {};
  auto read = read_keys_file(keys_file_);
  if (read.faults.empty()) use_keys(std::move(read.entries));
  return std::move(read.faults);
}

void proxy::use_keys(std::vector<key_entry> entries) {
  keys_ = make_key_table(std::move(entries), keys_);
  caf::anon_send(supervisor_, keys_changed{keys_});
  shared();  // when it has answered, every auth actor has been told
}

std::vector<shared_actors> proxy::shared() const {
  caf::scoped_actor self{*system_};
  std::vector<shared_actors> all;
  self->request(supervisor_, caf::infinite, get_shared_actors{})
      .receive([&](all_shared_actors& known) { all = std::move(known.by_thread); },
               [](const caf::error& error) { spdlog::error("supervisor: {}", caf::to_string(error)); });
  return all;
}

std::vector<pool_actor> proxy::pools() const {
  std::vector<pool_actor> all;
  for (const auto& each : shared()) all.push_back(each.pool);
  return all;
}

proxy::~proxy() {
  for (const auto& each : acceptors_) caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  if (admin_) caf::anon_send_exit(admin_, caf::exit_reason::user_shutdown);
  if (tracing_) caf::anon_send_exit(tracing_->exporter, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
}

}  // namespace llm_proxy
