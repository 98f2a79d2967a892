// The whole service in one object: spawns and wires all actors. Used by main and by the service tests.
#pragma once

#include "actors/access/admission.hpp"
#include "actors/messages/messages.hpp"
#include "actors/messages/service_health.hpp"
#include "actors/service/acceptor.hpp"
#include "actors/service/supervisor.hpp"
#include "actors/session/session_trace.hpp"
#include "actors/telemetry/metrics.hpp"
#include "adapters/fake/fake.hpp"
#include "config/settings.hpp"
#include "http/request/route.hpp"
#include "http/tls/server_tls.hpp"
#include "http/tls/upstream_tls.hpp"

#include <caf/actor_system_config.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// The TLS files that the settings name.
tls_files listener_tls(const settings& values);
/// The files for https upstreams that `values` name.
upstream_tls_files litellm_tls(const settings& values);
/// Reads them; null where no upstream is https. Throws std::runtime_error that names the file which is of no
/// use.
std::shared_ptr<upstream_tls> read_litellm_tls(const settings& values);
/// Whether one of these addresses is https.
bool has_https(const std::vector<std::string>& urls);
/// Changes how the shared actors and adapters are spawned: for parts of one's own (docs/extend.md), and for
/// tests. Called at the start and whenever the service is configured otherwise.
using factory_editor = std::function<void(caf::actor_system&, actor_factories&)>;

class proxy {
 public:
  /// Listens and serves when it returns. Throws std::runtime_error with a sentence for the operator when it
  /// cannot. `author`: what the fake adapters of mock mode answer, if not the echo. `inherited`: a listening
  /// socket to use instead of HOST and PORT. `own_routes`: behind those of http/request/route.cpp; they
  /// outlive this. `commit`: what it was built from.
  explicit proxy(const settings& values, fake_author author = {}, std::optional<int> inherited = {},
                 factory_editor edit = {}, std::span<const route> own_routes = {},
                 std::string_view commit = {});
  /// Closes what is still open.
  ~proxy();
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  /// The port listened on.
  std::uint16_t port() const { return port_; }
  /// The address listened on.
  const std::string& host() const { return host_; }

  /// Reads the TLS files again, for new connections. Keeps what is in use, and says why, when they are
  /// faulty.
  void reload_tls();
  /// The same with files that were read elsewhere; null where they are faulty.
  void use_tls(const server_tls& tls, const std::vector<std::string>& faults);

  /// From now on /health/ready says 503.
  void announce_drain();

  /// Stops listening and waits for what is in flight, for `timeout` at most (0: without end), then ends it by
  /// errors. True if nothing had to be cut. `stop_waiting()` is asked every 50 ms.
  bool drain_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting = {});

  /// Works by these settings from now on, as far as they may change while it runs (config/reload.hpp); what
  /// is open goes on as it began. Throws std::runtime_error, and nothing has changed, when they are of no
  /// use. `tls`: for https upstreams, from the files that `values` name; null: they are read now.
  void reconfigure(const settings& values, std::shared_ptr<upstream_tls> tls = nullptr);
  /// The files for https upstreams, read again: new connections go by them, if they hold something else than
  /// before. Null, or from other files than those in use: nothing is changed. Throws as reconfigure() does.
  void use_upstream_tls(std::shared_ptr<upstream_tls> tls);

  /// Reads INTERNAL_API_KEYS_FILE again. The faults of a file that cannot be used: then the keys stay as they
  /// are. What is in flight goes on in any case.
  std::vector<std::string> reload_keys();
  /// The same with a file that was read elsewhere, without a fault.
  void use_keys(std::vector<key_entry> entries);

  // For tests.
  caf::actor_system& system() { return *system_; }
  std::vector<shared_actors> shared() const;
  std::vector<pool_actor> pools() const;
  const std::vector<acceptor_actor>& acceptors() const { return acceptors_; }
  std::size_t in_flight() const { return in_flight_->load(); }
  const admission_gauges& admitted() const { return *gauges_; }
  const key_table& keys() const { return *keys_; }

 private:
  std::shared_ptr<actor_factories> make_factories(const settings& values,
                                                  const std::shared_ptr<upstream_tls>& tls);
  void spawn_admin(const settings& values, const session_context& common, const shared_actors& kept,
                   int descriptor);
  void flush_spans_at_end();
  bool end_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting);

  caf::actor_system_config config_;
  settings values_;
  fake_author author_;
  factory_editor edit_;
  std::span<const route> own_routes_;
  std::string commit_;
  std::shared_ptr<metric_families> families_ = std::make_shared<metric_families>();
  std::shared_ptr<scrape_gate> scrapes_ = std::make_shared<scrape_gate>();
  std::string keys_file_;
  key_table_ptr keys_;
  std::shared_ptr<std::atomic<std::size_t>> in_flight_;
  std::shared_ptr<actor_counts> actor_counts_ = std::make_shared<actor_counts>();
  std::shared_ptr<admission_gauges> gauges_ = std::make_shared<admission_gauges>();
  std::shared_ptr<service_health> health_ = std::make_shared<service_health>();
  std::unique_ptr<caf::actor_system> system_;
  supervisor_actor supervisor_;  // keeps the shared actors
  std::vector<acceptor_actor> acceptors_;
  acceptor_actor admin_;                                  // of ADMIN_PORT, where it is set
  std::shared_ptr<const session_tracing> tracing_;        // null: off
  std::vector<std::shared_ptr<thread_metrics>> counted_;  // by thread
  std::vector<std::shared_ptr<live_sessions>> live_;      // by thread
  std::shared_ptr<connection_counts> connections_;
  tls_files tls_files_;
  std::string host_;
  std::shared_ptr<upstream_table> upstreams_;
  std::shared_ptr<upstream_tls> upstream_tls_;  // null: no upstream is https
  std::uint16_t port_ = 0;
};

}  // namespace llm_proxy
