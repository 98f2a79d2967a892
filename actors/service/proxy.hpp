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

// None of CAF's headers is included here: what only runs a service compiles in half the time without them.
namespace caf {
class actor_system;
}

namespace llm_proxy {

struct actor_factories;
struct service_parts;
struct session_context;
struct shared_actors;
class upstream_tls;

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
  std::uint16_t port() const;
  /// The address listened on.
  const std::string& host() const;

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
