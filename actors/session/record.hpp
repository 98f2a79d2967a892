// What is known of one request, and how the log, the metrics, the trace, the dashboard and server-timing tell
// it. Values and pure functions: the session fills the record in, and nothing here asks anybody.
#pragma once

#include "actors/messages/watch_messages.hpp"
#include "actors/session/session_trace.hpp"
#include "actors/session/verdict.hpp"
#include "config/access_log.hpp"
#include "http/dialect/token_usage.hpp"
#include "http/keys/keys.hpp"
#include "http/request/route.hpp"
#include "http/telemetry/span_queue.hpp"
#include "http/telemetry/thread_metrics.hpp"
#include "http/wire/message.hpp"
#include "http/wire/server_timing.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace llm_proxy {

using steady_clock = std::chrono::steady_clock;

/// What one try at one upstream came to. A retry begins a new one.
struct attempt_record {
  steady_clock::time_point opened_at{};      ///< the adapter was asked; the clock's epoch: never
  steady_clock::time_point sent_at{};        ///< the last byte of the request was handed to the adapter
  steady_clock::time_point first_byte_at{};  ///< the clock's epoch: none has come
  steady_clock::duration connect{0};         ///< 0: a kept connection was used
  std::chrono::nanoseconds overhead{-1};     ///< LiteLLM's own time; < 0: it said none
  std::uint64_t chunks = 0;                  ///< events of a stream, else pieces of the body
  std::optional<token_usage> usage = {};
  std::string response_model = {};  ///< that answered, as upstream tells it

  bool was_opened() const { return opened_at != steady_clock::time_point{}; }
  bool has_first_byte() const { return first_byte_at != steady_clock::time_point{}; }
};

struct request_record {
  std::string id;                            ///< x-request-id
  std::shared_ptr<const request_head> head;  ///< its headers may be gone
  const route* row = nullptr;                ///< null: no row fits, or it was refused before it was routed
  key_rules_ptr key;                         ///< null until auth has let it in
  std::string model;                         ///< that was asked for, then the id it stands for
  std::string detail;                        ///< only for the log
  bool stream = false;                       ///< the client wants an event stream
  bool has_timing = false;                   ///< its answer says server-timing
  unsigned status = 0;
  unsigned retries = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  steady_clock::time_point started_at{};
  steady_clock::duration auth_time{0};
  steady_clock::time_point queued_at{};  ///< the clock's epoch: it never waited
  steady_clock::duration queue_time{0};  ///< 0 while it waits
  attempt_record attempt;                ///< the current one, or the last

  bool is_queued() const { return queued_at != steady_clock::time_point{} && queue_time.count() == 0; }
  std::chrono::duration<double, std::milli> since_start(steady_clock::time_point now) const {
    return now - started_at;
  }
};

/// The route as labels name it. Whatever fits no row could be anything, and is not a label.
std::string_view route_label(const route* row);

/// Who was slow: the key's check, the queue, upstream's connect, upstream itself, LiteLLM's share of that.
server_timing timing_of(const request_record& request, steady_clock::time_point now);

/// The line of the access log. The views of the result live as long as `request` and `trace_id`.
access_record log_line_of(const request_record& request, verdict how, double ms, std::string_view trace_id);

/// What the metrics count. `operation`, key, model and usage are told only of requests that went to upstream.
request_facts facts_of(const request_record& request, verdict how, double ms);

/// The request as the dashboard shows it. `bytes`: of the answer so far.
session_sample sample_of(const request_record& request, steady_clock::time_point now, std::uint64_t bytes);

/// The finished span. `upstream`: host:port of the upstream that was asked last; empty: none was.
span_record span_of(const request_record& request, request_trace&& trace, verdict how,
                    steady_clock::time_point now, std::string_view upstream);

}  // namespace llm_proxy
