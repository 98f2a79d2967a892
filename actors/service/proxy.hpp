// The whole service in one object: spawns and wires all actors. Used by main and by the service tests.
#pragma once

#include "adapters/fake/fake_script.hpp"
#include "config/settings.hpp"
#include "http/request/route.hpp"
#include "http/tls/server_tls.hpp"

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

// No header of CAF is included here: code that only runs a service compiles in half the time without them.
namespace caf {
class actor_system;
}

namespace llm_proxy {

struct actor_factories;
struct service_parts;
struct session_context;
struct shared_actors;
class upstream_tls;

/// Changes how the shared actors and adapters are spawned, to add parts to the service (docs/extend.md) and
/// for tests. Called at the start and whenever the configuration changes.
using factory_editor = std::function<void(caf::actor_system&, actor_factories&)>;

class proxy {
 public:
  /// The service listens and serves when the constructor returns. Throws std::runtime_error with a sentence
  /// for the operator if it cannot. `author` makes up the answers of the fake adapters of mock mode; by
  /// default they echo. `inherited` is a listening socket to use instead of HOST and PORT. `own_routes` are
  /// added behind those of http/request/route.cpp, and must outlive the proxy. `commit` is the commit that
  /// the program was built from.
  explicit proxy(const settings& values, fake_author author = {}, std::optional<int> inherited = {},
                 factory_editor edit = {}, std::span<const route> own_routes = {},
                 std::string_view commit = {});
  /// Closes all open connections.
  ~proxy();
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;

  /// Returns the port that it listens on.
  std::uint16_t port() const;
  /// Returns the address that it listens on.
  const std::string& host() const;

  /// Reads the TLS files again, for new connections. If they are faulty, logs why and keeps those in use.
  void reload_tls();
  /// The same with files that the caller has read. `tls` is null if they are faulty.
  void use_tls(const server_tls& tls, const std::vector<std::string>& faults);

  /// From now on /health/ready answers 503.
  void announce_drain();

  /// Stops listening and waits for the requests in flight, for at most `timeout` (0 = without a limit). It
  /// stops waiting earlier if `stop_waiting()`, which it calls about every 50 ms, returns true. Requests that
  /// are left then end with an error. Returns true if there were none.
  bool drain_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting = {});

  /// Uses these settings from now on, as far as they may change while it runs (config/reload.hpp). Open
  /// requests continue with the old ones. Throws std::runtime_error if the settings cannot be used; then
  /// nothing has changed. `tls` is for https upstreams, made from the files that `values` name; if it is
  /// null, they are read now.
  void reconfigure(const settings& values, std::shared_ptr<upstream_tls> tls = nullptr);
  /// Uses the files for https upstreams, which the caller has read again, for new connections if their
  /// content has changed. Does nothing if `tls` is null or was made from other files than those in use.
  /// Throws as reconfigure() does.
  void use_upstream_tls(std::shared_ptr<upstream_tls> tls);

  /// Reads INTERNAL_API_KEYS_FILE again. Returns the faults of the file; if there are any, the keys stay as
  /// they are. Requests in flight continue in any case.
  std::vector<std::string> reload_keys();
  /// The same with the entries of a file that the caller has read without a fault.
  void use_keys(std::vector<key_entry> entries);

  // For tests.
  std::vector<shared_actors> shared() const;  ///< by thread
  std::size_t in_flight() const;
  service_parts& parts() { return *parts_; }

 private:
  void spawn_acceptors(const session_context& common, const std::vector<shared_actors>& kept,
                       const server_tls& tls);
  void spawn_admin(const session_context& common, const shared_actors& kept, int descriptor);
  session_context common_context() const;
  void flush_spans_at_end();
  bool end_connections(std::chrono::milliseconds timeout, const std::function<bool()>& stop_waiting);

  std::unique_ptr<service_parts> parts_;
};

}  // namespace llm_proxy
