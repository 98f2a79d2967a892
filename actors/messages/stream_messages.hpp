// One request and its answer on their way through an adapter, and the pool that lends adapters out.
#pragma once

#include "actors/messages/model_messages.hpp"
#include "actors/messages/upstream_table.hpp"
#include "http/loop/deadlines.hpp"
#include "http/wire/caller_headers.hpp"
#include "http/wire/errc.hpp"
#include "http/wire/header_policy.hpp"
#include "http/wire/message.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llm_proxy {

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

//   lease_adapter -> adapter_lease, or error overloaded
struct pool_peers;
using pool_actor =
    caf::typed_actor<caf::replies_to<lease_adapter>::with<adapter_lease>, caf::reacts_to<pool_peers>>;
/// The other threads' pools in ring order: the next one is asked when the own one is full, and asks on.
struct pool_peers {
  std::vector<pool_actor> others;
};

}  // namespace llm_proxy
