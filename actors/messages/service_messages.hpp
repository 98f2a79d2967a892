// The actors that all requests share: the model registry, the upstream probe, the supervisor that keeps them,
// and the acceptors that work with them.
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

///   resolve_model -> resolved_model, never an error
//   get_models    -> models, or upstream's error when there never was a list
struct registry_peers;
using registry_actor = caf::typed_actor<caf::replies_to<resolve_model>::with<resolved_model>,
                                        caf::replies_to<get_models>::with<models>,
                                        caf::reacts_to<models_changed>, caf::reacts_to<refresh_due>,
                                        caf::reacts_to<registry_peers>, caf::reacts_to<names_changed>>;

/// All registries, of which the first is the one that fetches, and the pool to get adapters from. Comes at
/// the start and whenever one of them was replaced.
struct registry_peers {
  std::vector<registry_actor> all;
  pool_actor pool;
  std::shared_ptr<const upstream_table> upstreams;  ///< of the pool
};

// -- upstream probe ----------------------------------------------------------------

/// Time to look after the upstreams that were left out.
struct probe_due {};
/// Several clients gave that upstream up before it said a word: is it alive?
struct upstream_suspected {
  std::size_t upstream;
};
using probe_actor = caf::typed_actor<caf::reacts_to<probe_due>, caf::reacts_to<upstream_suspected>>;

// -- supervisor ----------------------------------------------------------------------

/// What one thread's sessions work with. To its acceptor: from now on with these.
struct shared_actors {
  auth_actor auth;
  registry_actor registry;
  pool_actor pool;
  admission_actor admission;                  ///< the same for all threads
  std::shared_ptr<upstream_table> upstreams;  ///< of the pool; null in mock mode
  metrics_actor metrics;
  std::vector<observer_actor> observers;  ///< of all threads
  probe_actor probe = {};                 ///< of the upstreams; null where none is ever left out
};
/// Asks for those of all threads.
struct get_shared_actors {};
struct all_shared_actors {
  std::vector<shared_actors> by_thread;
};

struct actor_factories;
/// The service is configured otherwise from now on, dead actors are replaced by those of `factories`.
/// `new_pools`: the pools too are replaced, now; requests that an old one let out keep their adapters.
struct reconfigured {
  std::shared_ptr<const actor_factories> factories;
  bool new_pools = false;
  admission_options limits;
  std::shared_ptr<const model_names> names;
};

//   get_shared_actors -> all_shared_actors
//   keys_changed: told to every auth and metrics actor, now and to come
using supervisor_actor = caf::typed_actor<caf::replies_to<get_shared_actors>::with<all_shared_actors>,
                                          caf::reacts_to<keys_changed>, caf::reacts_to<reconfigured>>;

// -- acceptors -------------------------------------------------------------------------

/// An accepted socket for the connections of this thread. If nobody takes it, its client sees it closed.
struct adopt_socket {
  std::shared_ptr<handed_over_socket> socket;
};
/// Shake hands by this from now on; connections that are open keep what they have.
struct tls_changed {
  server_tls tls;
};
struct session_options;
/// Sessions follow these from now on; those that are open go on as they began.
struct session_rules_changed {
  std::shared_ptr<const session_options> options;
  std::shared_ptr<memory_ceiling> memory;
};
/// Take in what already waits to be accepted, then listen no more.
struct stop_listening {};
/// The listening socket is closed, and all that it had taken in has been dealt out.
struct listening_stopped {};
/// Close the connection that has been idle longest, so that its place and its descriptor are free; one that
/// has had a request only if `used_too`.
struct make_room {
  bool used_too;
};
struct room_made {
  bool closed_one;  ///< false: none is idle
};
/// Close idle connections, close the others after their answer. Answered when none is left.
struct drain {};
struct drained {};
/// What is still open gets a `drained` error and is closed.
struct force_drain {};

//   stop_listening -> listening_stopped
//   make_room      -> room_made
//   drain          -> drained, once its last connection is closed
struct start_listening;
using acceptor_actor =
    caf::typed_actor<caf::reacts_to<start_listening>, caf::reacts_to<adopt_socket>,
                     caf::reacts_to<tls_changed>, caf::replies_to<stop_listening>::with<listening_stopped>,
                     caf::replies_to<make_room>::with<room_made>, caf::replies_to<drain>::with<drained>,
                     caf::reacts_to<force_drain>, caf::reacts_to<shared_actors>,
                     caf::reacts_to<session_rules_changed>>;
/// A listening socket to accept from, and the acceptors of all threads to deal out to.
struct start_listening {
  int descriptor;
  bool shared;  ///< handed over: another process may listen on the same socket
  /// In the order of the threads. Behind them others that may be asked for descriptors, and for nothing else.
  std::vector<acceptor_actor> all;
};

/// Answers one request, to a connection of its thread. Its messages are a stream's.
using session_actor = stream_sink;

}  // namespace llm_proxy
