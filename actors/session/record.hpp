// What is known of one request, and how the log, the metrics, the trace, the dashboard and server-timing show
// it. These are values and pure functions. The session fills in the record.
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

/// What is known of one attempt. A retry begins a new record.
struct attempt_record {
  steady_clock::time_point opened_at{};  ///< when the adapter was asked; the clock's epoch if it never was
  steady_clock::time_point sent_at{};    ///< when the last byte of the request was handed to the adapter
  steady_clock::time_point first_byte_at{};  ///< the clock's epoch if no byte has arrived
  steady_clock::duration connect{0};         ///< 0 if a kept connection was used
  std::chrono::nanoseconds overhead{-1};     ///< LiteLLM's own time; negative if it sent none
  std::uint64_t chunks = 0;                  ///< events of a judged stream, otherwise pieces of the body
  std::optional<token_usage> usage = {};
  std::string response_model = {};  ///< the model that answered, as upstream names it

  bool was_opened() const { return opened_at != steady_clock::time_point{}; }
  bool has_first_byte() const { return first_byte_at != steady_clock::time_point{}; }
};

struct request_record {
  std::string id;                            ///< x-request-id
  std::shared_ptr<const request_head> head;  ///< its headers are dropped when an answer is passed on
  const route* row = nullptr;  ///< null if no row fits, or if it was refused before it was routed
  key_rules_ptr key;           ///< null until auth has accepted the key
  std::string model;           ///< the model asked for, later the id that it stands for
  std::string detail;          ///< only for the log
  bool stream = false;         ///< the client wants an event stream
  bool has_timing = false;     ///< its answer has a server-timing header
  unsigned status = 0;
  unsigned retries = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  steady_clock::time_point started_at{};
  steady_clock::duration auth_time{0};
  steady_clock::time_point queued_at{};  ///< the clock's epoch if it never waited
  steady_clock::duration queue_time{0};  ///< 0 while it waits
  attempt_record attempt;                ///< the current one, or the last

  bool is_queued() const { return queued_at != steady_clock::time_point{} && queue_time.count() == 0; }
  std::chrono::duration<double, std::milli> since_start(steady_clock::time_point now) const {
    return now - started_at;
  }
};

/// Returns the route as metrics and traces label it. A path that fits no row is "unmatched", because clients
/// could otherwise make up any number of labels.
std::string_view route_label(const route* row);

/// Returns how long each part took: the queue, the check of the key, the connect to upstream, the wait for
/// upstream's first byte, and LiteLLM's own share of that.
server_timing timing_of(const request_record& request, steady_clock::time_point now);

/// Returns the line of the access log. Its views are valid as long as `request` and `trace_id` live.
access_record log_line_of(const request_record& request, verdict how, double ms, std::string_view trace_id);

/// Returns what the metrics count. The operation, key, model and usage are set only for requests that passed
/// the check of their key and whose route leads to upstream.
request_facts facts_of(const request_record& request, verdict how, double ms);

/// Returns the request as the dashboard shows it. `bytes` is the size of the answer so far.
session_sample sample_of(const request_record& request, steady_clock::time_point now, std::uint64_t bytes);

/// Returns the finished span. `upstream` is the host:port of the upstream that was asked last, or empty if
/// none was.
span_record span_of(const request_record& request, request_trace&& trace, verdict how,
                    steady_clock::time_point now, std::string_view upstream);

}  // namespace llm_proxy
