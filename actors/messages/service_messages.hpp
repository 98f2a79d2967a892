// The actors that all requests share: the model registry, the upstream probe, the supervisor that keeps them
// alive, and the acceptors that work with them.
#pragma once

#include "actors/messages/access_messages.hpp"
#include "actors/messages/admission_options.hpp"
#include "actors/messages/handed_over_socket.hpp"
#include "actors/messages/model_messages.hpp"
#include "actors/messages/stream_messages.hpp"
#include "actors/messages/upstream_table.hpp"
#include "actors/messages/watch_messages.hpp"
#include "http/system/resident_memory.hpp"
#include "http/tls/server_tls.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace llm_proxy {

// -- model registry ----------------------------------------------------------------

struct registry_peers;
using registry_actor = caf::typed_actor<
    // Returns the id that the name stands for. Never fails.
    caf::replies_to<resolve_model>::with<resolved_model>,
    // Returns the last lists, or fails with upstream's error if there never were any.
    caf::replies_to<get_models>::with<models>,
    // Takes the lists that another registry fetched.
    caf::reacts_to<models_changed>,
    // Fetches the lists now, or asks the registry that fetches to do so.
    caf::reacts_to<refresh_due>,
    // Learns who the other registries are, and which pool to use.
    caf::reacts_to<registry_peers>,
    // Uses these aliases from now on.
    caf::reacts_to<names_changed>>;

/// All registries, of which the first one fetches, and the pool to get adapters from. Sent at the start and
/// whenever one of them was replaced.
struct registry_peers {
  std::vector<registry_actor> all;
  pool_actor pool;
  std::shared_ptr<const upstream_table> upstreams;  ///< of the pool
};

// -- upstream probe ----------------------------------------------------------------

/// It is time to probe the upstreams that were left out.
struct probe_due {};
/// Several clients left before that upstream sent a byte: it is to be probed.
struct upstream_suspected {
  std::size_t upstream;
};
using probe_actor = caf::typed_actor<caf::reacts_to<probe_due>, caf::reacts_to<upstream_suspected>>;

// -- supervisor ----------------------------------------------------------------------

/// The actors that the sessions of one thread work with. Sent to its acceptor whenever one of them was
/// replaced.
struct shared_actors {
  auth_actor auth;
  registry_actor registry;
  pool_actor pool;
  admission_actor admission;                  ///< the same for all threads
  std::shared_ptr<upstream_table> upstreams;  ///< of the pool; null in mock mode
  metrics_actor metrics;
  std::vector<observer_actor> observers;  ///< of all threads
  probe_actor probe = {};                 ///< of the upstreams; null if none is ever left out
};
/// Asks for the shared actors of all threads.
struct get_shared_actors {};
struct all_shared_actors {
  std::vector<shared_actors> by_thread;
};

struct actor_factories;
/// The configuration has changed: from now on dead actors are replaced by those of `factories`. `new_pools`:
/// the pools are replaced now; requests that have an adapter of an old pool keep it.
struct reconfigured {
  std::shared_ptr<const actor_factories> factories;
  bool new_pools = false;
  admission_options limits;
  std::shared_ptr<const model_names> names;
};

using supervisor_actor = caf::typed_actor<
    // Returns the actors that it keeps.
    caf::replies_to<get_shared_actors>::with<all_shared_actors>,
    // Passes the keys on to every auth and metrics actor, also to those that it will spawn.
    caf::reacts_to<keys_changed>,
    // Uses this configuration from now on.
    caf::reacts_to<reconfigured>>;

// -- acceptors -------------------------------------------------------------------------

/// An accepted socket for this thread. If nobody takes it, it is closed.
struct adopt_socket {
  std::shared_ptr<handed_over_socket> socket;
};
/// From now on handshakes use this. Open connections keep what they have.
struct tls_changed {
  server_tls tls;
};
struct session_options;
/// From now on new sessions follow these options. Open sessions go on as they began.
struct session_rules_changed {
  std::shared_ptr<const session_options> options;
  std::shared_ptr<memory_ceiling> memory;
};
/// Accept the connections that already wait, then stop listening.
struct stop_listening {};
/// The listening socket is closed, and every socket that it accepted was handed to a thread.
struct listening_stopped {};
/// Close the connection that has been idle longest, so that its place and its descriptor are free. A
/// connection that has had a request is closed only if `used_too`.
struct make_room {
  bool used_too;
};
struct room_made {
  bool closed_one;  ///< false if none is idle
};
/// Asks an acceptor to close its connections: idle ones at once, the others when their answer is complete. It
/// replies with `drained` when all are closed.
struct drain {};
struct drained {};
/// Asks an acceptor to end every request that is left with a `drained` error, and to close its connection.
struct force_drain {};

struct start_listening;
using acceptor_actor = caf::typed_actor<
    // Accepts from that socket, and hands sockets to the acceptors of all threads.
    caf::reacts_to<start_listening>,
    // Takes a socket that another acceptor accepted.
    caf::reacts_to<adopt_socket>,
    // Uses this for new handshakes.
    caf::reacts_to<tls_changed>,
    // Returns when the listening socket is closed.
    caf::replies_to<stop_listening>::with<listening_stopped>,
    // Returns whether a connection was closed.
    caf::replies_to<make_room>::with<room_made>,
    // Returns when the last connection is closed.
    caf::replies_to<drain>::with<drained>,
    // Ends what drain waits for.
    caf::reacts_to<force_drain>,
    // Spawns sessions with these actors from now on.
    caf::reacts_to<shared_actors>,
    // Spawns sessions with these options from now on.
    caf::reacts_to<session_rules_changed>>;
/// A listening socket to accept from, and the acceptors of all threads, which get the sockets.
struct start_listening {
  int descriptor;
  bool shared;  ///< it was handed over, so another process may listen on it too
  /// In the order of the threads; then others that may only be asked to free a descriptor.
  std::vector<acceptor_actor> all;
};

/// Answers one request of a connection on its thread. Its messages are those of a stream.
using session_actor = stream_sink;

}  // namespace llm_proxy
