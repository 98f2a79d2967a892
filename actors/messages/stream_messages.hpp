// One request and its answer on their way through an adapter, and the pool that leases adapters.
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

/// A request for upstream: the client's head, from which headers are picked, and the body, byte for byte as
/// it is to be sent.
struct upstream_request {
  std::shared_ptr<const request_head> head;
  std::string request_id;
  std::string method = "POST";
  std::string path;                         ///< upstream's path, query included
  std::shared_ptr<const std::string> body;  ///< null if there is none, or if it follows
  bool stream = false;
  bool body_follows = false;  ///< in body_parts
  /// Of a body that follows; if it is not known, the body is sent in chunks.
  std::optional<std::uint64_t> body_length = std::nullopt;
  /// The time that the client allows; upstream is told.
  std::optional<std::chrono::milliseconds> time_left = std::nullopt;
  header_policy headers = header_policy::model_call;  ///< which of the client's headers go with it
  std::string traceparent = {};   ///< replaces the client's; if empty, the client's is sent
  bool drops_tracestate = false;  ///< of the client, because its trace does not go on
  std::shared_ptr<const upstream_caller> caller =
      nullptr;  ///< null if LiteLLM is not told whose request it is
};

/// How many bytes an adapter may send to its session without being granted more.
inline constexpr std::size_t credit_window = 64 * 1024;

/// The adapter may send this many bytes more for that stream.
struct grant_credit {
  std::uint64_t stream;
  std::size_t bytes;
};
/// Nobody waits for that stream any more: its upstream request is to be closed. Unknown streams are ignored.
struct cancel_stream {
  std::uint64_t stream;
  steady_clock::time_point since = {};  ///< when its client left, if that is the reason
  /// The stream's last event has arrived, but the HTTP body has not ended yet. The adapter may read on for a
  /// moment, so that the connection can be used again. It sends nothing more to the session.
  bool answered = false;
};

/// The next bytes of a body that follows its request; `last`: the body ends with them.
struct body_part {
  std::uint64_t stream;
  std::string data;
  bool last = false;
};
/// This many bytes of body_parts have been sent on: the session may send as many more.
struct body_taken {
  std::size_t bytes;
};
/// How many bytes of body_parts a session may send before it gets body_taken.
inline constexpr std::size_t body_window = 256 * 1024;

/// Upstream's status line and headers.
struct stream_head {
  response_head head;
  steady_clock::duration connect{0};  ///< 0 if a kept connection was used
  std::string data = {};              ///< the part of the body that came with the same read
  bool done = false;                  ///< the answer ended with it, as its framing promised
};
/// The next bytes of upstream's body.
struct stream_chunk {
  std::string data;
  bool done = false;  ///< the answer ended with them, as its framing promised; there may be none
};
/// Upstream's answer broke off after its head.
struct stream_failed {
  failure reason;
};

/// A session, as its adapter sees it.
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
using adapter_actor = caf::typed_actor<
    // Returns the head of the answer. Unless the head was all, stream_chunks follow to the sink, the last one
    // with `done`, or stream_failed. Fails with upstream_unreachable, upstream_timeout,
    // upstream_invalid_response, upstream_disconnected, out_of_resources or internal.
    caf::replies_to<open_stream>::with<stream_head>,
    // Sends the bytes upstream, and body_taken to the sink as upstream takes them.
    caf::reacts_to<body_part>,
    // Sends more of the answer.
    caf::reacts_to<grant_credit>,
    // Closes the upstream request.
    caf::reacts_to<cancel_stream>,
    // Returns upstream's lists of models. Fails as open_stream does.
    caf::replies_to<get_models>::with<models>>;
/// Spawns one adapter for that upstream on its pool's thread.
using adapter_factory = std::function<adapter_actor(std::size_t upstream)>;

/// Asks for an adapter that takes one more request. `asked` counts the pools that had no room.
struct lease_adapter {
  std::size_t asked = 0;
  bool unlimited = false;  ///< for the model list, which no limit applies to
  upstream_set tried = 0;  ///< upstreams to avoid as long as another one is usable
  /// If all usable upstreams are in `tried`, take one that was left out and is not in `tried`.
  bool last_resort = false;
};
/// An adapter of the upstream that was picked. The request counts until the last copy of `slot` is gone, so a
/// session gives its place back however it ends.
struct adapter_lease {
  adapter_actor adapter;
  std::shared_ptr<const void> slot;
  std::size_t upstream = 0;  ///< its number in the upstream_table
};

struct pool_peers;
using pool_actor = caf::typed_actor<
    // Returns a lease, if need be from another thread's pool, or fails with overloaded.
    caf::replies_to<lease_adapter>::with<adapter_lease>,
    // Learns who the other pools are.
    caf::reacts_to<pool_peers>>;
/// The other threads' pools in ring order. A pool that is full asks the next one, which asks on.
struct pool_peers {
  std::vector<pool_actor> others;
};

}  // namespace llm_proxy
