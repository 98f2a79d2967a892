#include "adapters/litellm/litellm.hpp"

#include "adapters/litellm/litellm_models.hpp"
#include "config/request_steps.hpp"
#include "http/text/text.hpp"
#include "http/wire/caller_headers.hpp"
#include "http/wire/header_policy.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

namespace llm_proxy {

namespace {

using self_pointer = pinned_pointer<adapter_actor, litellm_state>;

constexpr std::string_view timeout_name = "x-litellm-timeout";

/// Nobody waits for the end of an answer's framing, but reading it lets the connection serve the next
/// request. Reading is given up after this time or this many bytes.
constexpr auto longest_drain = std::chrono::seconds{1};
constexpr std::size_t largest_drain = 64 * 1024;

/// Returns the value of the `x-litellm-timeout` header, in seconds with decimals. It is `left`, the time that
/// the request has left, or the client's own value of that header (`asked`) if that is shorter.
std::string shorter_timeout(std::chrono::milliseconds left, std::optional<std::string_view> asked) {
  const auto ms = std::max<std::int64_t>(left.count(), 1);
  if (asked) {
    const auto text = trimmed(*asked);
    const auto seconds = parse_number<double>(text).value_or(0);
    if (seconds > 0 && seconds * 1000 < static_cast<double>(ms)) return std::string{text};
  }
  auto decimals = std::to_string(1000 + ms % 1000);
  decimals.front() = '.';
  return std::to_string(ms / 1000) + decimals;
}

}  // namespace

std::string upstream_head(const litellm_options& options, const upstream_request& request) {
  std::string head;
  head.reserve(768);
  head += request.method;
  head += ' ';
  head += options.address.prefix;
  head += request.path;
  head += " HTTP/1.1\r\n";
  append_header(head, "host", options.address.host_header);
  bool typed = false;
  std::optional<std::string_view> accept_encoding;
  std::optional<std::string_view> own_timeout;
  const bool traced = !request.traceparent.empty();
  std::optional<caller_headers> caller;
  if (request.caller) caller.emplace(*request.caller);
  if (request.head) {
    const bool has_options = has_connection_options(request.head->headers);
    for (const auto field : request.head->headers) {
      if (has_options && is_connection_option(request.head->headers, field.name)) continue;
      if (iequals(field.name, "accept-encoding")) accept_encoding = field.value;
      const auto value = upstream_value(field, options.forward_headers, request.headers);
      if (!value || (caller && caller->takes(field))) continue;
      const bool is_type = iequals(field.name, "content-type");
      if (is_type && !request.body && !request.body_follows) continue;
      if (request.time_left && iequals(field.name, timeout_name)) {
        own_timeout = *value;
        continue;
      }
      if (traced && iequals(field.name, "traceparent")) continue;
      if (request.drops_tracestate && iequals(field.name, "tracestate")) continue;
      typed = typed || is_type;
      append_header(head, field.name, *value);
    }
  }
  if (request.body && !typed) append_header(head, "content-type", "application/json");
  // The judge reads a stream event by event, which is impossible if it is compressed.
  append_header(head, "accept-encoding",
                request.stream || !accept_encoding ? std::string_view{"identity"} : *accept_encoding);
  if (!options.api_key.empty()) {
    head += "authorization: Bearer ";
    head += options.api_key;
    head += "\r\n";
  }
  if (caller) caller->append_to(head);
  if (request.time_left) append_header(head, timeout_name, shorter_timeout(*request.time_left, own_timeout));
  if (traced) append_header(head, "traceparent", request.traceparent);
  if (!request.request_id.empty()) append_header(head, "x-request-id", request.request_id);
  if (request.body) {
    append_header(head, "content-length", std::to_string(request.body->size()));
  } else if (request.body_length) {
    append_header(head, "content-length", std::to_string(*request.body_length));
  } else if (request.body_follows) {
    append_header(head, "transfer-encoding", "chunked");
  } else if (request.method != "GET" && request.method != "HEAD") {
    append_header(head, "content-length", "0");
  }
  head += "\r\n";
  return head;
}

namespace {

/// Returns the names of a head's fields, in their order.
std::string names_in(std::string_view head) {
  std::string names;
  for (auto line = head.find("\r\n") + 2; line < head.size() && head[line] != '\r';
       line = head.find("\r\n", line) + 2) {
    if (!names.empty()) names += ' ';
    names += head.substr(line, head.find(':', line) - line);
  }
  return names;
}

std::shared_ptr<const std::string> composed_head(const litellm_options& options,
                                                 const upstream_request& request) {
  auto head = std::make_shared<const std::string>(upstream_head(options, request));
  if (log_steps()) {
    log_step(request.request_id, "{} to upstream {}, with the headers {}", request.method,
             options.address.host_header, names_in(*head));
  }
  return head;
}

}  // namespace

/// A stream. It turns the events of its upstream call into messages to the sink.
class litellm_exchange final : public call_events {
 public:
  litellm_exchange(self_pointer self, const litellm_options& options, const open_stream& order,
                   caf::typed_response_promise<stream_head> promise)
      : self_{self},
        stream_{order.stream},
        sink_{order.sink},
        promise_{std::move(promise)},
        call_{*self->state.upstream, composed_head(options, *order.request), order.request->body,
              order.credit, *this} {
    if (order.request->body_follows) call_.expect_parts(!order.request->body_length);
  }

  ~litellm_exchange() {
    // If the answer is unfinished here, the adapter died. Its sessions are told, so that none waits forever.
    if (!over_) tell_failed({.code = errc::internal, .detail = "the adapter died"});
  }

  void start() { call_.start(); }
  void grant(std::size_t bytes) { call_.grant(bytes); }
  void give(body_part& part) { call_.send_part(std::move(part.data), part.last); }
  /// The sink expects no more messages.
  void abandon() { over_ = true; }
  /// The sink expects no more messages, and only the end of the framing is missing: reads on for a moment,
  /// then destroys this.
  void drain(deadlines& timers) {
    over_ = true;
    drain_ = std::make_unique<drain_part>(timers, [this] { enter(self_, [this] { leave(); }); });
    drain_->end.expires_after(longest_drain);
    call_.grant(largest_drain);
  }

  void on_input(call_input&& input) override {
    enter(self_, [&] {
      const bool whole = input.whole;
      if (drain_) {
        drain_->bytes += input.bytes.size();
        if (whole || drain_->bytes > largest_drain) leave();
        return;
      }
      if (input.head) {
        promise_.deliver(
            stream_head{std::move(*input.head), call_.connect_time(), std::move(input.bytes), whole});
        head_sent_ = true;
      } else {
        self_->send(sink_, stream_chunk{std::move(input.bytes), whole});
      }
      if (!whole) return;
      over_ = true;
      leave();
    });
  }
  void on_part_sent(std::size_t bytes) override {
    enter(self_, [&] {
      if (!over_) self_->send(sink_, body_taken{bytes});
    });
  }
  void on_failed(failure reason) override {
    enter(self_, [&] {
      if (!std::exchange(over_, true)) tell_failed(reason);
      leave();
    });
  }

 private:
  /// The state while the end of an answer is read so that the connection can be used again.
  struct drain_part {
    drain_part(deadlines& timers, deadline_call on_end) : end{timers, on_end} {}

    deadline end;
    std::size_t bytes = 0;
  };

  /// Destroys this.
  void leave() { self_->state.exchanges.erase(stream_); }

  void tell_failed(const failure& reason) {
    if (head_sent_) {
      self_->send(sink_, stream_failed{reason});
    } else {
      promise_.deliver(to_error(reason));
    }
  }

  self_pointer self_;
  std::uint64_t stream_;
  stream_sink sink_;
  caf::typed_response_promise<stream_head> promise_;
  upstream_call call_;
  std::unique_ptr<drain_part> drain_;  // null while somebody waits for the answer
  bool head_sent_ = false;
  bool over_ = false;
};

litellm_state::litellm_state() = default;
litellm_state::~litellm_state() = default;

adapter_actor::behavior_type litellm(self_pointer self, io_worker* home, litellm_options options) {
  self->state.upstream = std::make_unique<upstream_connections>(
      home->sockets(), home->timers(),
      upstream_connection_options{options.address, options.tls, options.connect_timeout,
                                  std::chrono::seconds{4}, [counted = options.counted] {
                                    if (counted) ++counted->upstream_resends;
                                  }});
  const auto shared = std::make_shared<const litellm_options>(std::move(options));
  return {
      [self, shared](open_stream& order) -> caf::result<stream_head> {
        auto promise = self->make_response_promise<stream_head>();
        auto exchange = std::make_unique<litellm_exchange>(self, *shared, order, promise);
        auto& entry = self->state.exchanges[order.stream];
        entry = std::move(exchange);
        entry->start();
        return promise;
      },
      [self](body_part& part) {
        const auto at = self->state.exchanges.find(part.stream);
        if (at != self->state.exchanges.end()) at->second->give(part);
      },
      [self](const grant_credit& grant) {
        const auto at = self->state.exchanges.find(grant.stream);
        if (at != self->state.exchanges.end()) at->second->grant(grant.bytes);
      },
      [self, shared, home](const cancel_stream& cancel) {
        const auto at = self->state.exchanges.find(cancel.stream);
        if (at == self->state.exchanges.end()) return;
        if (cancel.answered) {
          at->second->drain(home->timers());
          return;
        }
        at->second->abandon();
        self->state.exchanges.erase(at);
        if (shared->counted && cancel.since != steady_clock::time_point{}) {
          const std::chrono::duration<double> took = steady_clock::now() - cancel.since;
          shared->counted->cancel_time.add(took.count());
        }
      },
      [self, shared, home](get_models) -> caf::result<models> {
        auto promise = self->make_response_promise<models>();
        auto& fetches = self->state.fetches;
        fetches.push_back(std::make_unique<litellm_model_fetch>(self, *home, *shared, promise));
        fetches.back()->start();
        return promise;
      },
  };
}

}  // namespace llm_proxy
