// The map of the system: every message, every actor's interface.
//
//   acceptor ──spawns──▶ session ──authorize──▶ auth
//                           ├──────request_slot──▶ admission (where a limit is set)
//                           ├──────resolve_model─▶ model registry
//                           ├──────lease_adapter─▶ adapter pool
//                           └──────open_stream───▶ adapter
//   adapter ──stream_head, stream_chunk* | stream_failed──▶ session
//   supervisor ──spawns again──▶ auth, admission, registry, pool, metrics, observers, probe
//   session ──upstream_suspected──▶ upstream probe (where there are several upstreams)
//   session ──observe──▶ observers of all threads (GET /ui/events)
//   session ──export_due──▶ span exporter (where tracing is on)
//   session ──scrape_metrics──▶ metrics ──get_metrics──▶ the other threads' metrics
//
// All of one request (its actors and both sockets) is on one thread. Auth, registry, pool and acceptor exist
// once per thread; what must be known on all threads is broadcast as one immutable value. Admission exists
// once, since its limits are the service's.
#pragma once

#include "actors/admission_options.hpp"
#include "actors/handed_over_socket.hpp"
#include "actors/upstream_table.hpp"
#include "http/anthropic_models.hpp"
#include "http/caller_headers.hpp"
#include "http/deadlines.hpp"
#include "http/errc.hpp"
#include "http/header_policy.hpp"
#include "http/keys.hpp"
#include "http/message.hpp"
#include "http/openai.hpp"
#include "http/resident_memory.hpp"
#include "http/server_tls.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/replies_to.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

// -- auth ------------------------------------------------------------------------

/// May this request in? Credentials are read from the head.
struct authorize {
  std::shared_ptr<const request_head> head;
};
/// Who is asking, and what the name may do.
struct principal {
  std::string name;
  key_rules_ptr rules = nullptr;  ///< of the auth actor never null
  bool is_operator = false;       ///< came with INTERNAL_API_KEY: may see what concerns all keys
};
/// The keys that count from now on.
struct keys_changed {
  key_table_ptr keys;
};

// -- admission ---------------------------------------------------------------------

/// May this session's request be served now? `session` names it in leave_queue.
struct request_slot {
  std::uint64_t session;
  key_rules_ptr key;
  request_cost cost = request_cost::full;
};
/// A slot, free again when the last copy of it is gone, or why there is none and what the answer's headers
/// say of it.
struct slot_decision {
  std::shared_ptr<const void> slot;  ///< null: refused
  failure fault;
  header_list headers;
};
/// That session no longer waits. Unknown ones are ignored.
struct leave_queue {
  std::uint64_t session;
};
/// A slot of the key of that name came back.
struct slot_freed {
  std::string key;
};
/// What a request of that key cost.
struct tokens_spent {
  key_rules_ptr key;
  std::uint64_t tokens;
};

/// Other limits from now on; what has a slot keeps it.
struct limits_changed {
  admission_options limits;
};

// -- model registry ----------------------------------------------------------------

/// Which id does upstream know this name by?
struct resolve_model {
  std::string name;  ///< empty: the default model
  bool wants_provider = false;
};
struct resolved_model {
  std::string id;
  std::string provider = {};  ///< as upstream's list names it, where that was asked for and is known
};
/// What names stand for.
struct model_names {
  std::string default_model;                                 ///< for the empty name
  std::vector<std::pair<std::string, std::string>> aliases;  ///< a name and the id it stands for
};
/// From now on they stand for these.
struct names_changed {
  std::shared_ptr<const model_names> names;
};
using model_list = std::shared_ptr<const std::vector<model_entry>>;
using anthropic_list = std::shared_ptr<const std::vector<anthropic_model>>;
/// Asks for the lists of models.
struct get_models {};
struct models {
  model_list list;
  anthropic_list anthropic = nullptr;  ///< in Anthropic's shape; null where upstream has none of its own
};
/// Newer lists, from the registry that fetched them to the others.
struct models_changed {
  models lists;
};
/// Time to fetch again.
struct refresh_due {};

// -- adapters ------------------------------------------------------------------------

/// What goes upstream: the client's head (to pick headers from) and the body, byte for byte as it is to be
/// sent.
struct upstream_request {
  std::shared_ptr<const request_head> head;
  std::string request_id;
  std::string method = "POST";
  std::string path;                         ///< upstream's path, query included
  std::shared_ptr<const std::string> body;  ///< null: none, or it follows
  bool stream = false;
  bool body_follows = false;  ///< in body_parts
  /// Of a body that follows; unknown: it goes upstream in chunks.
  std::optional<std::uint64_t> body_length = std::nullopt;
  /// What its client allows; upstream is told.
  std::optional<std::chrono::milliseconds> time_left = std::nullopt;
  header_policy headers = header_policy::model_call;  ///< which of the client's headers go with it
  std::string traceparent = {};   ///< instead of the client's; empty: that goes on as it is
  bool drops_tracestate = false;  ///< of the client: it belongs to no trace that goes on
  std::shared_ptr<const upstream_caller> caller = nullptr;  ///< null: LiteLLM is not told who asks
};

/// Bytes an adapter may send to its session without being granted more.
inline constexpr std::size_t credit_window = 64 * 1024;

/// More bytes may be sent for that stream.
struct grant_credit {
  std::uint64_t stream;
  std::size_t bytes;
};
/// Nobody waits for that stream any more: close its upstream request. Unknown streams are ignored.
struct cancel_stream {
  std::uint64_t stream;
  steady_clock::time_point since = {};  ///< when its client left, if that is why
  /// The answer's last event has come, and only the end of its framing is missing. The adapter may read on
  /// for a moment, so that the connection can be used again; it tells the session nothing more.
  bool answered = false;
};

/// The next bytes of a request's body that follows; `last`: it is whole.
struct body_part {
  std::uint64_t stream;
  std::string data;
  bool last = false;
};
/// So many bytes of body_parts have been sent on: the session may give as many more.
struct body_taken {
  std::size_t bytes;
};
/// Bytes of body_parts a session may give without being told that they were taken.
inline constexpr std::size_t body_window = 256 * 1024;

/// Upstream's status line and those of its headers that a client may see.
struct stream_head {
  response_head head;
  steady_clock::duration connect{0};  ///< 0: the connection was there
  std::string data = {};              ///< of the body: what came by the same read
  bool done = false;                  ///< the answer ended with that, as its framing promised
};
/// Bytes of upstream's body, as they came.
struct stream_chunk {
  std::string data;
  bool done = false;  ///< the answer ended with them, as its framing promised; there may be none
};
/// Upstream's answer broke off after its head.
struct stream_failed {
  failure reason;
};

/// A session, seen from its adapter.
using stream_sink =
    caf::typed_actor<caf::reacts_to<stream_chunk>, caf::reacts_to<stream_failed>, caf::reacts_to<body_taken>>;

/// Starts an upstream request. `stream` names it in later messages (unique per adapter); `credit` in bytes.
struct open_stream {
  std::uint64_t stream;
  std::shared_ptr<const upstream_request> request;
  stream_sink sink;
  std::size_t credit = credit_window;
};

/// Speaks for one upstream (litellm) or makes answers up (fake).
///   open_stream   -> stream_head, or an error (upstream_unreachable, upstream_timeout,
///   upstream_invalid_response, upstream_disconnected, out_of_resources,
///                    internal); after a head that is not all: stream_chunk* to the sink, the last one
///                    `done`, or stream_failed
///   body_part     -> body_taken to the sink, as upstream takes it
///   grant_credit, cancel_stream: no answer
///   get_models    -> models, or an error as for open_stream
using adapter_actor =
    caf::typed_actor<caf::replies_to<open_stream>::with<stream_head>, caf::reacts_to<body_part>,
                     caf::reacts_to<grant_credit>, caf::reacts_to<cancel_stream>,
                     caf::replies_to<get_models>::with<models>>;
/// Spawns one adapter for that upstream on its pool's thread.
using adapter_factory = std::function<adapter_actor(std::size_t upstream)>;

/// Which adapter is to take one more request? `asked` counts the pools that had no room.
struct lease_adapter {
  std::size_t asked = 0;
  bool unlimited = false;  ///< the model list: takes no client's place, and none keeps it out
  upstream_set tried = 0;  ///< upstreams that are not wanted as long as there is another usable one
  /// If all usable upstreams are in `tried`: take one that was left out and is not in `tried`.
  bool last_resort = false;
};
/// An adapter of the upstream that was picked. It counts as loaded until the last copy of `slot` is gone, so
/// that a session that ends, however it ends, gives its place back.
struct adapter_lease {
  adapter_actor adapter;
  std::shared_ptr<const void> slot;
  std::size_t upstream = 0;  ///< its number in the upstream_table
};

// -- for who watches -------------------------------------------------------------------------

/// No more requests than these are listed at once.
inline constexpr std::size_t max_observed = 500;

/// A request as it is now: its numbers and names, never what it says.
struct session_sample {
  std::string id;
  std::string route;
  std::string model;
  std::string key;  ///< its name
  bool stream = false;
  double ms = 0;
  std::optional<double> first_byte_ms;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> tokens;  ///< once upstream told
};
struct ended_session {
  session_sample last;
  std::string_view verdict;  ///< a literal
  unsigned status = 0;
};
/// What goes on in that thread, and what ended after `since`; none: nothing of that.
struct observe {
  std::optional<std::uint64_t> since;
  std::optional<std::string> key = std::nullopt;  ///< requests of keys of that name alone; none: all
};
struct observed {
  std::size_t active = 0;
  std::vector<session_sample> requests;
  std::vector<ended_session> ended;
  std::uint64_t missed = 0;  ///< that ended, whosever they were, and were forgotten
  std::uint64_t last = 0;    ///< the next `since`
};

//   observe -> observed, at once
using observer_actor = caf::typed_actor<caf::replies_to<observe>::with<observed>>;

// -- metrics ---------------------------------------------------------------------------

struct metric_counts;
/// What has this thread counted?
struct get_metrics {};
struct metrics_snapshot {
  std::shared_ptr<const metric_counts> block;
};
/// The text of GET /metrics, all threads summed.
struct scrape_metrics {
  std::shared_ptr<upstream_table> upstreams;  ///< null in mock mode
};
struct metrics_text {
  /// The scrape counts as under way until the last copy of this pointer is gone.
  std::shared_ptr<const std::string> text;
};
/// From an actor to itself: how long do messages wait?
struct mailbox_probe {
  steady_clock::time_point sent;
};
struct metrics_peers;
//   get_metrics    -> metrics_snapshot
//   scrape_metrics -> metrics_text | errc::overloaded, while there are two scrapes in the process already
//                     | errc::internal, if another thread's actor is dead
using metrics_actor =
    caf::typed_actor<caf::replies_to<get_metrics>::with<metrics_snapshot>,
                     caf::replies_to<scrape_metrics>::with<metrics_text>, caf::reacts_to<mailbox_probe>,
                     caf::reacts_to<metrics_peers>, caf::reacts_to<keys_changed>>;
/// Those of the other threads.
struct metrics_peers {
  std::vector<metrics_actor> others;
};

// -- interfaces --------------------------------------------------------------------------

//   authorize -> principal, or error unauthorized
using auth_actor =
    caf::typed_actor<caf::replies_to<authorize>::with<principal>, caf::reacts_to<keys_changed>>;

//   request_slot -> slot_decision, at once or when a slot is free or QUEUE_TIMEOUT is over
using admission_actor = caf::typed_actor<caf::replies_to<request_slot>::with<slot_decision>,
                                         caf::reacts_to<leave_queue>, caf::reacts_to<slot_freed>,
                                         caf::reacts_to<tokens_spent>, caf::reacts_to<limits_changed>>;

///   resolve_model -> resolved_model, never an error
//   get_models    -> models, or upstream's error when there never was a list
struct registry_peers;
using registry_actor = caf::typed_actor<caf::replies_to<resolve_model>::with<resolved_model>,
                                        caf::replies_to<get_models>::with<models>,
                                        caf::reacts_to<models_changed>, caf::reacts_to<refresh_due>,
                                        caf::reacts_to<registry_peers>, caf::reacts_to<names_changed>>;

//   lease_adapter -> adapter_lease, or error overloaded
struct pool_peers;
using pool_actor =
    caf::typed_actor<caf::replies_to<lease_adapter>::with<adapter_lease>, caf::reacts_to<pool_peers>>;
/// The other threads' pools in ring order: the next one is asked when the own one is full, and asks on.
struct pool_peers {
  std::vector<pool_actor> others;
};

/// All registries, of which the first is the one that fetches, and the pool to get adapters from. Comes at
/// the start and whenever one of them was replaced.
struct registry_peers {
  std::vector<registry_actor> all;
  pool_actor pool;
  std::shared_ptr<const upstream_table> upstreams;  ///< of the pool
};

/// Time to look after the upstreams that were left out.
struct probe_due {};
/// Several clients gave that upstream up before it said a word: is it alive?
struct upstream_suspected {
  std::size_t upstream;
};
using probe_actor = caf::typed_actor<caf::reacts_to<probe_due>, caf::reacts_to<upstream_suspected>>;

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

// -- traces ----------------------------------------------------------------------------

/// A batch of finished spans has come together.
struct export_due {};
/// Export what there is, now: nothing more comes.
struct flush_spans {};
/// It is exported, or cannot be.
struct spans_flushed {};
//   flush_spans -> spans_flushed
using exporter_actor =
    caf::typed_actor<caf::reacts_to<export_due>, caf::replies_to<flush_spans>::with<spans_flushed>>;

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

// -- errors between actors -----------------------------------------------------------------

/// A failure as CAF's error, and back. Errors of CAF itself (a dead receiver) become errc::internal.
caf::error to_error(const failure& reason);
failure to_failure(const caf::error& error);

}  // namespace llm_proxy

// clang-format off
#define LLM_PROXY_MESSAGES(X) \
  X(authorize) \
  X(principal) \
  X(keys_changed) \
  X(request_slot) \
  X(slot_decision) \
  X(leave_queue) \
  X(limits_changed) \
  X(slot_freed) \
  X(tokens_spent) \
  X(resolve_model) \
  X(resolved_model) \
  X(get_models) \
  X(models) \
  X(names_changed) \
  X(models_changed) \
  X(refresh_due) \
  X(registry_peers) \
  X(pool_peers) \
  X(body_part) \
  X(body_taken) \
  X(grant_credit) \
  X(cancel_stream) \
  X(stream_head) \
  X(stream_chunk) \
  X(stream_failed) \
  X(open_stream) \
  X(lease_adapter) \
  X(adapter_lease) \
  X(adopt_socket) \
  X(start_listening) \
  X(make_room) \
  X(room_made) \
  X(tls_changed) \
  X(stop_listening) \
  X(listening_stopped) \
  X(drain) \
  X(drained) \
  X(force_drain) \
  X(shared_actors) \
  X(get_shared_actors) \
  X(observe) \
  X(observed) \
  X(all_shared_actors) \
  X(reconfigured) \
  X(session_rules_changed) \
  X(probe_due) \
  X(upstream_suspected) \
  X(get_metrics) \
  X(metrics_snapshot) \
  X(scrape_metrics) \
  X(metrics_text) \
  X(mailbox_probe) \
  X(metrics_peers) \
  X(export_due) \
  X(flush_spans) \
  X(spans_flushed)
// clang-format on

CAF_BEGIN_TYPE_ID_BLOCK(llm_proxy, first_custom_type_id)
#define LLM_PROXY_TYPE_ID(name) CAF_ADD_TYPE_ID(llm_proxy, (llm_proxy::name))
LLM_PROXY_MESSAGES(LLM_PROXY_TYPE_ID)
#undef LLM_PROXY_TYPE_ID
CAF_END_TYPE_ID_BLOCK(llm_proxy)

// No message ever leaves the process.
#define LLM_PROXY_LOCAL(name) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(llm_proxy::name)
LLM_PROXY_MESSAGES(LLM_PROXY_LOCAL)
#undef LLM_PROXY_LOCAL
