#include "actors/service/proxy.hpp"

#include "actors/runtime/io_scheduler.hpp"
#include "actors/service/acceptor.hpp"
#include "actors/service/proxy_options.hpp"
#include "actors/service/proxy_tls.hpp"
#include "actors/service/proxy_traces.hpp"
#include "actors/service/service_parts.hpp"
#include "actors/service/supervisor.hpp"
#include "actors/service/wiring.hpp"
#include "actors/session/session.hpp"
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

/// Returns the keys of the file. Throws std::runtime_error if the file cannot be used.
key_table_ptr read_keys(const std::string& file, std::shared_ptr<key_uses> uses) {
  if (file.empty()) return make_key_table({}, nullptr, std::move(uses));
  auto read = read_keys_file(file);
  if (!read.faults.empty()) {
    throw std::runtime_error{"LLM_PROXY__INTERNAL_API_KEYS_FILE: " + read.faults.front() + " (" + file + ")"};
  }
  return make_key_table(std::move(read.entries), nullptr, std::move(uses));
}

/// Throws std::runtime_error if the default key must not be used on this address. HOST was checked together
/// with the settings, but an inherited socket was not.
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

}  // namespace

proxy::proxy(const settings& values, fake_author author, std::optional<int> inherited, factory_editor edit,
             std::span<const route> own_routes, std::string_view commit)
    : parts_{std::make_unique<service_parts>()} {
  auto& parts = *parts_;
  const auto threads = values.thread_count();
  parts.config.set("scheduler.max-threads", threads);
  parts.config.load<io_scheduler>();
  parts.config.load<caf::id_block::llm_proxy>();
  parts.values = values;
  parts.author = std::move(author);
  parts.edit = std::move(edit);
  parts.own_routes = own_routes;
  parts.commit = commit;
  parts.keys_file = values.internal_api_keys_file;
  parts.listener_files = listener_tls(values);

  // This comes before any thread is started: a service that cannot listen, or cannot use its files, must not
  // start.
  parts.keys = read_keys(parts.keys_file, std::make_shared<key_uses>(parts.families->room));
  parts.litellm_certificates = read_litellm_tls(values);
  make_upstreams(values, parts.litellm_certificates);
  check_tracing(values);
  const auto tls = load_tls(parts.listener_files);
  boost::asio::io_context io;
  auto listener = inherited ? adopt_listener(io, *inherited) : open_listener(io, values.host, values.port);
  const auto bound = listener.local_endpoint();
  std::optional<boost::asio::ip::tcp::acceptor> admin;
  if (values.admin_port != 0)
    admin = open_listener(io, values.host, values.admin_port, "LLM_PROXY__ADMIN_PORT");
  if (inherited) check_default_key(values, bound.address());
  parts.host = bound.address().to_string();
  parts.port = bound.port();

  parts.system = std::make_unique<caf::actor_system>(parts.config);
  parts.connections = std::make_shared<connection_counts>(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    parts.counted.push_back(std::make_shared<thread_metrics>(parts.families));
    parts.live.push_back(std::make_shared<live_sessions>());
  }
  auto& first = io_scheduler::of(*parts.system).worker(0);
  parts.tracing = start_tracing(values, *parts.system, first);
  const auto factories = make_factories(parts, values, parts.litellm_certificates);
  parts.upstreams = factories->upstreams;
  auto kept = spawn_shared(*factories);
  const auto common = common_context();
  spawn_acceptors(common, kept, tls);
  auto told = parts.acceptors;
  if (admin) {
    spawn_admin(common, kept.front(), admin->release());
    told.push_back(parts.admin);
  }
  parts.supervisor =
      spawn_on(*parts.system, first, supervisor, &first, factories, std::move(kept), std::move(told));
  caf::anon_send(parts.acceptors.front(),
                 start_listening{listener.release(), inherited.has_value(), parts.acceptors});
}

/// Returns the part of the context that the sessions of all threads share.
session_context proxy::common_context() const {
  session_context common;
  common.options = make_session_options(parts_->values, parts_->own_routes);
  common.memory = make_ceiling(parts_->values);
  common.in_flight = parts_->in_flight;
  common.budget = std::make_shared<retry_budget>();
  common.health = parts_->health;
  common.tracing = parts_->tracing;
  return common;
}

void proxy::spawn_acceptors(const session_context& common, const std::vector<shared_actors>& kept,
                            const server_tls& tls) {
  auto& parts = *parts_;
  const auto& values = parts.values;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    auto& home = io_scheduler::of(*parts.system).worker(i);
    auto context = std::make_shared<session_context>(common);
    context->home = &home;
    context->live = parts.live[i];
    context->auth = kept[i].auth;
    context->registry = kept[i].registry;
    context->pool = kept[i].pool;
    context->admission = kept[i].admission;
    context->upstreams = kept[i].upstreams;
    context->metrics = kept[i].metrics;
    context->observers = kept[i].observers;
    context->counted = parts.counted[i];
    parts.acceptors.push_back(spawn_on(*parts.system, home, acceptor, &home,
                                       acceptor_options{client_timeouts(values), context, parts.connections,
                                                        connection_limit(values), tls}));
  }
}

/// ADMIN_PORT has an acceptor of its own, which listens until the end, even while the service drains. Its
/// requests are not in the metrics, because they are the traffic of the monitoring itself.
void proxy::spawn_admin(const session_context& common, const shared_actors& kept, int descriptor) {
  const auto& values = parts_->values;
  constexpr std::size_t most = 64;
  auto& home = io_scheduler::of(*parts_->system).worker(0);
  auto context = std::make_shared<session_context>(common);
  context->home = &home;
  context->admin = true;
  context->upstreams = kept.upstreams;
  context->metrics = kept.metrics;
  parts_->admin = spawn_on(*parts_->system, home, acceptor, &home,
                           acceptor_options{client_timeouts(values), context,
                                            std::make_shared<connection_counts>(1), most, nullptr});
  std::vector<acceptor_actor> all{parts_->admin};
  all.insert(all.end(), parts_->acceptors.begin(), parts_->acceptors.end());
  caf::anon_send(parts_->admin, start_listening{descriptor, false, std::move(all)});
}

void proxy::reconfigure(const settings& values, std::shared_ptr<upstream_tls> tls) {
  if (!tls) tls = read_litellm_tls(values);
  const auto factories = make_factories(*parts_, values, tls);
  const bool same_tls = !tls || (parts_->litellm_certificates && parts_->litellm_certificates->same_as(*tls));
  const bool new_pools = !same_pools(parts_->values, values) || !same_tls;
  // New pools come before the new rules, which rely on them.
  caf::anon_send(parts_->supervisor,
                 reconfigured{factories, new_pools, make_limits(values), make_names(values)});
  shared();
  const auto rules =
      std::make_shared<const session_options>(make_session_options(values, parts_->own_routes));
  const auto memory = make_ceiling(values);
  for (const auto& each : parts_->acceptors) caf::anon_send(each, session_rules_changed{rules, memory});
  parts_->upstreams = factories->upstreams;
  parts_->values = values;
  parts_->litellm_certificates = std::move(tls);
}

void proxy::reload_tls() {
  if (!parts_->listener_files.any()) return;
  std::vector<std::string> faults;
  use_tls(load_server_tls(parts_->listener_files, faults), faults);
}

void proxy::use_tls(const server_tls& tls, const std::vector<std::string>& faults) {
  for (const auto& fault : faults) spdlog::error("{}; the certificate in use stays", fault);
  if (!tls) return;
  for (const auto& each : parts_->acceptors) caf::anon_send(each, tls_changed{tls});
  spdlog::info("TLS files read again");
}

void proxy::announce_drain() {
  parts_->health->draining = true;
}

bool proxy::drain_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting) {
  const bool whole = end_connections(timeout, stop_waiting);
  if (parts_->tracing) flush_spans_at_end();
  return whole;
}

/// Exports the spans of all requests that have ended, but does not wait long for a slow collector.
void proxy::flush_spans_at_end() {
  constexpr auto most = std::chrono::seconds{2};
  caf::scoped_actor self{*parts_->system};
  self->send(parts_->tracing->exporter, flush_spans{});
  self->receive(
      [](spans_flushed) {},
      caf::after(most) >> [] { spdlog::warn("traces: the last spans could not be exported in time"); });
}

bool proxy::end_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting) {
  announce_drain();
  caf::scoped_actor self{*parts_->system};
  // This comes first, because the other threads must get the last accepted connections before they are told
  // to drain.
  self->send(parts_->acceptors.front(), stop_listening{});
  self->receive([](listening_stopped) {}, caf::after(std::chrono::seconds{5}) >>
                                              [] { spdlog::error("the listener did not stop in time"); });
  std::set<caf::actor_id> open;  // acceptors with connections left
  bool whole = true;
  for (const auto& each : parts_->acceptors) {
    open.insert(each.id());
    self->monitor(each);
    self->send(each, drain{});
  }
  const auto wait = [&](std::chrono::milliseconds limit, const std::function<bool()>& stop) {
    const auto started = steady_clock::now();
    while (!open.empty()) {
      self->receive([&](drained) { open.erase(self->current_sender()->id()); },
                    [&](const caf::down_msg& down) {
                      // The acceptor died, and its connections with it. It will never answer.
                      if (open.erase(down.source.id()) > 0) whole = false;
                    },
                    caf::after(std::chrono::milliseconds{50}) >> [] {});
      const bool late = limit.count() > 0 && steady_clock::now() - started >= limit;
      if (late || (stop && stop())) break;
    }
    return open.empty();
  };
  if (wait(timeout, stop_waiting)) return whole;
  for (const auto& each : parts_->acceptors) caf::anon_send(each, force_drain{});
  // Gives clients a moment to read their errors. Then the destructor closes the rest.
  wait(std::chrono::seconds{3}, {});
  return false;
}

std::vector<std::string> proxy::reload_keys() {
  if (parts_->keys_file.empty()) return {};
  auto read = read_keys_file(parts_->keys_file);
  if (read.faults.empty()) use_keys(std::move(read.entries));
  return std::move(read.faults);
}

void proxy::use_keys(std::vector<key_entry> entries) {
  parts_->keys = make_key_table(std::move(entries), parts_->keys);
  caf::anon_send(parts_->supervisor, keys_changed{parts_->keys});
  shared();  // when the supervisor answers, it has told every auth actor
}

std::vector<shared_actors> proxy::shared() const {
  caf::scoped_actor self{*parts_->system};
  std::vector<shared_actors> all;
  self->request(parts_->supervisor, caf::infinite, get_shared_actors{})
      .receive([&](all_shared_actors& known) { all = std::move(known.by_thread); },
               [](const caf::error& error) { spdlog::error("supervisor: {}", caf::to_string(error)); });
  return all;
}

std::size_t proxy::in_flight() const {
  return parts_->in_flight->load();
}

std::uint16_t proxy::port() const {
  return parts_->port;
}

const std::string& proxy::host() const {
  return parts_->host;
}

proxy::~proxy() {
  for (const auto& each : parts_->acceptors) caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
  if (parts_->admin) caf::anon_send_exit(parts_->admin, caf::exit_reason::user_shutdown);
  if (parts_->tracing) caf::anon_send_exit(parts_->tracing->exporter, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(parts_->supervisor, caf::exit_reason::user_shutdown);
}

}  // namespace llm_proxy
