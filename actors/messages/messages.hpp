// The map of the system: who sends what to whom. The messages and interfaces are in the headers that it
// includes, one for each topic.
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
// Everything of one request, its actors and both sockets, is on one thread. Auth, registry, pool and acceptor
// exist once per thread; what all threads must know is broadcast as one immutable value. There is one
// admission actor, because its limits are those of the whole service.
#pragma once

#include "actors/messages/access_messages.hpp"
#include "actors/messages/model_messages.hpp"
#include "actors/messages/service_messages.hpp"
#include "actors/messages/stream_messages.hpp"
#include "actors/messages/watch_messages.hpp"
#include "http/wire/errc.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/type_id.hpp>

namespace llm_proxy {

/// Convert a failure to an error of CAF's, and back. Errors of CAF itself (a dead receiver) become
/// errc::internal.
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
