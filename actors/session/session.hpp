// Answers one request. Spawned by the acceptor when a request's head is there; ends with its answer, or with
// its client.
//
//   authorizing ─▶ routing ─▶ queued ─▶ reading ─▶ opening ─▶ streaming ─▶ closed
//        │            │         │         │          │  passed on as it comes
//        │            │         │         │          ├─▶ holding ─▶ closed
//        │            │         │         │          │  held until it is whole
//        └────────────┴─────────┴─────────┴──────────┴──▶ finish(), exactly once
//
// Where no limit is set a request is never queued.
// An upload (multipart, passed-through bodies) skips reading: its parts go to the adapter while it is
// opening.
//
// Deadlines: queued has QUEUE_TIMEOUT, kept by the admission actor; reading, and an upload, have the
// connection's CLIENT_BODY_TIMEOUT; opening has FIRST_BYTE_TIMEOUT, until the first event of a stream;
// streaming and holding have IDLE_TIMEOUT, but after a stream's last event ([DONE], message_stop, …) the end
// of its framing is waited for a moment only; all of it has REQUEST_TIMEOUT, or what the client allows by
// x-request-timeout-ms if that is less. STREAM_COMMIT_AFTER of silence opens a stream before its first event,
// and comments keep it alive.
//
// Until the client has got a byte, a request may go back to opening: to another upstream when one cannot be
// reached, and after a pause where RETRIES allows it (session_retry.cpp).
//
// session.cpp goes from the head to the adapter, session_answer.cpp from the adapter's first word to the
// client's last byte, session_end.cpp to the verdict.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/messages/service_health.hpp"
#include "actors/messages/upstream_table.hpp"
#include "actors/runtime/pinned.hpp"
#include "actors/session/retry.hpp"
#include "actors/session/session_trace.hpp"
#include "actors/session/verdict.hpp"
#include "actors/telemetry/live_sessions.hpp"
#include "actors/telemetry/scrape_answer.hpp"
#include "actors/telemetry/ui_watch.hpp"
#include "config/access_log.hpp"
#include "http/answer/upstream_answer.hpp"
#include "http/dialect/stream_judge.hpp"
#include "http/downstream/connection.hpp"
#include "http/request/request_gate.hpp"
#include "http/request/route.hpp"
#include "http/system/resident_memory.hpp"
#include "http/telemetry/thread_metrics.hpp"
#include "http/wire/server_timing.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace llm_proxy {

struct session_options {
  std::string version;
  bool ui = true;  ///< pages are served
  std::size_t max_body_bytes = 0;
  std::string upstream_key;  ///< cut out of what upstream says in its errors
  bool limits_all = false;   ///< MAX_CONCURRENT_REQUESTS is set: every request needs a slot
  std::vector<std::string> passthrough_paths;
  std::span<const route> own_routes;
  error_wording wording = error_wording::normalized;
  bool account_usage = false;
  caller_header told_as = caller_header::none;  ///< CALLER_TO_LITELLM
  std::chrono::milliseconds first_byte_timeout{0};
  std::chrono::milliseconds stream_commit_after{0};  ///< 0 = never before the first event
  std::chrono::milliseconds idle_timeout{0};
  std::chrono::milliseconds request_timeout{0};
  unsigned retries = 0;
  bool metrics_public = false;  ///< /metrics needs no key
  bool stream_timing = false;   ///< a stream ends with a comment that says what server-timing says
  /// Set while the default key, which everybody knows, lets clients in: the value of HOST. Requests that are
  /// addressed to other machines than this one are refused then.
  std::optional<std::string> local_host;
};

/// What all sessions of a thread share.
struct session_context {
  session_options options;
  io_worker* home = nullptr;
  auth_actor auth;
  registry_actor registry;
  pool_actor pool;
  admission_actor admission;                            ///< asked where a limit is set
  std::shared_ptr<memory_ceiling> memory;               ///< of the process; null: none
  std::shared_ptr<std::atomic<std::size_t>> in_flight;  ///< requests past the key check, on all threads
  std::shared_ptr<service_health> health = std::make_shared<service_health>();
  std::shared_ptr<upstream_table> upstreams;                                ///< null in mock mode
  std::shared_ptr<retry_budget> budget;                                     ///< used where retries > 0
  std::shared_ptr<live_sessions> live = std::make_shared<live_sessions>();  ///< of this thread
  std::vector<observer_actor> observers;                                    ///< of all threads
  probe_actor probe;                                                        ///< null: one upstream or none
  metrics_actor metrics;                                                    ///< of the thread
  std::shared_ptr<thread_metrics> counted = std::make_shared<thread_metrics>();  ///< what that one knows
  std::shared_ptr<const session_tracing> tracing;                                ///< null: off
  bool admin = false;  ///< of ADMIN_PORT: health and metrics, without a key, and nothing else
};

class session_state : public exchange_events, private live_session {
 public:
  using self_pointer = pinned_pointer<session_actor, session_state>;

  static inline const char* name = "session";

  session_state() = default;
  virtual ~session_state();

  void begin(self_pointer self, std::shared_ptr<const session_context> context,
             std::shared_ptr<connection> client);

  /// A message of the adapter that has the request now, not of one that had it before.
  bool is_from_upstream() const { return (tried_ == 0 && retries_ == 0) || sender_has_lease(); }

  // From the adapter.
  void on_head(stream_head&& head);
  void on_chunk(stream_chunk&& chunk);
  void on_stream_failed(failure reason);
  void on_body_taken(std::size_t bytes);

 private:
  enum class phase : std::uint8_t {
    authorizing,
    routing,
    queued,
    reading,
    opening,
    holding,
    streaming,
    closed
  };
  /// For LOG_LEVEL=TRACE.
  static std::string_view words_for(phase which);

  // From the connection.
  void on_body_grown(std::string_view so_far) override;
  void on_body(std::string&& body) override;
  void on_body_part(std::string&& bytes, bool last) override;
  void on_body_failed(const failure& fault) override;
  void on_client_gone() override;
  void on_sent() override;
  void on_forced_end() override;

  void enter_phase(phase next);
  void note_phase(phase next);
  void read_head();
  void ask_auth();
  void route();
  // session_own.cpp
  void answer_health(unsigned status, std::string_view state);
  void answer_ready();
  void answer_models();
  void answer_own();
  // session_pages.cpp
  void answer_page();
  void watch();
  void look();
  void tell();
  session_sample sample() const override;
  std::string_view key_name() const override { return key_ ? std::string_view{key_->name} : ""; }

  void answer_metrics();
  void send_metrics(const metrics_text& all);
  void send_more_metrics();
  bool is_public() const;
  failure check_host() const;
  void begin_upstream();
  failure check_head() const;
  // Admission (session_admission.cpp).
  bool is_limited() const;
  void ask_admission();
  failure check_form() const;
  failure check_model_beside(std::string_view member) const;
  failure check_model(std::string_view asked, std::string_view resolved) const;
  void leave_admission(phase from);

  void read_request();
  failure limit_time();
  void take_body(std::string&& body);
  void resolve(const gated_request& request);
  void lease(bool last_resort = false);
  void open();
  void begin_answer();
  void await_more();
  void take_bytes(std::string&& data);
  void end_upstream();
  void pass_on(std::string_view bytes);
  void commit_stream();
  void on_silence();
  void pass_events_on(std::string_view bytes);
  void pass_error_on(std::string&& event);
  void refuse_first_event(std::string_view event);
  void end_stream();
  void end_complete_stream(std::string_view rest);
  verdict stream_verdict() const;
  void judge_complete_stream();
  void hold(std::string&& bytes);
  void release_held();
  void end_held();
  void answer_head_only(unsigned status, header_list headers);
  header_list answer_headers();
  void end_early_stream(const held_verdict& outcome);
  void grant();
  void on_idle();
  void on_total_deadline();
  void fail(failure reason);
  void cancel_upstream(steady_clock::time_point since = {});
  void note_unreachable();
  void note_reachable();

  // Trying again.
  void on_open_failed(failure reason);
  bool reach_another();
  bool retry(unsigned status, const error_advice& advice);
  void start_over();
  void judge_upstream(const failure& reason);
  void note_patience_over();
  bool several_upstreams() const { return context_->upstreams && context_->upstreams->size() > 1; }
  bool sender_has_lease() const;
  bool may_open_again() const { return context_->options.retries > 0 || several_upstreams(); }

  // session_end.cpp
  answer_terms terms() const;
  dialect speaks() const;
  void answer_json(unsigned status, std::string_view body, header_list headers = {});
  void answer_text(unsigned status, std::string_view body, header_list headers);
  void refuse(const failure& fault, header_list headers = {}, std::string_view detail = {});
  void end_answer(verdict how);
  void break_answer(verdict how);
  void finish(verdict how);
  void log(verdict how, double ms) const;
  void count(verdict how, double ms) const;

  // session_trace.cpp
  void begin_trace();
  void pass_trace_on(upstream_request& request) const;
  void end_trace(verdict how);

  double since_start() const;  // milliseconds
  std::string_view route_label() const;
  server_timing timing() const;
  bool goes_upstream() const;
  void add_timing(header_list& headers) const;
  void tell_timing(std::string_view rest);

  self_pointer self_ = nullptr;
  /// While it waits for its client nobody else refers to the actor, and CAF ends what is unreachable.
  caf::strong_actor_ptr alive_;
  std::shared_ptr<const session_context> context_;
  std::shared_ptr<connection> client_;
  std::shared_ptr<const request_head> head_;
  route_match route_;
  std::optional<deadline> deadline_;  // of the phase
  std::unique_ptr<deadline> total_;   // of the request, where it has one

  // Admission.
  key_rules_ptr key_;  // null until auth has let it in
  std::shared_ptr<const void> slot_;

  // The upstream side.
  adapter_lease lease_;
  std::unique_ptr<request_check> check_;  // of a body that comes in pieces, while it does
  // Never written to once an adapter has it; kept as long as it may have to be sent again.
  std::shared_ptr<std::string> body_;
  phase phase_ = phase::closed;
  bool is_operator_ = false;  // as the principal says
  bool stream_open_ = false;
  bool stream_opened_ = false;    // at least once
  bool upload_ = false;           // the client's body is passed on as it comes
  bool uploading_ = false;        // it is not yet whole
  bool usage_added_ = false;      // ACCOUNT_USAGE asked for what the client did not
  bool shortened_ = false;        // by x-request-timeout-ms
  bool judged_ = true;            // false: compressed or opaque, known by its framing alone
  bool event_stream_ = false;     // what is passed on are events
  bool released_ = false;         // a held body grew too long and is passed on
  bool early_ = false;            // opened by STREAM_COMMIT_AFTER, before upstream's head or first event
  bool last_event_sent_ = false;  // the system has taken all bytes up to the stream's last event
  missed missed_ = missed::none;  // the deadline that ends the request
  unsigned retries_ = 0;          // so far
  using upload_parts = std::vector<std::pair<std::string, bool>>;
  // Of an upload to one of several upstreams: what was given before any of it was taken, at most body_window.
  // Null for all others.
  std::unique_ptr<upload_parts> given_;
  upstream_set tried_ = 0;                                 // upstreams that failed this request
  std::unique_ptr<deadline> pause_;                        // before a retry
  std::optional<steady_clock::time_point> allowed_until_;  // where x-request-timeout-ms was sent
  response_head answer_;
  stream_judge judge_;
  std::unique_ptr<deadline> silence_;  // STREAM_COMMIT_AFTER, then the pause between comments; null: off
  std::uint64_t heard_ = 0;            // the judge's progress when it was last looked at
  std::string held_;            // a body that is held back; of a stream, what comes before its first event
  std::size_t owed_ = 0;        // bytes received and not granted again
  std::uint64_t progress_ = 0;  // the judge's, when the idle deadline was last moved

  // For the log.
  std::string id_;
  std::string model_;
  std::string detail_;
  bool wants_stream_ = false;
  bool beginning_ = true;  // its behavior is not set yet
  bool counted_ = false;   // in context_->in_flight
  unsigned status_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t chunks_ = 0;
  std::optional<token_usage> usage_;
  steady_clock::time_point started_;
  steady_clock::time_point first_byte_{};
  steady_clock::time_point queued_at_{};
  // Of the try at hand, but for the first two.
  steady_clock::duration auth_time_{0};
  steady_clock::duration queue_time_{0};
  steady_clock::time_point opened_{};  // the adapter was asked
  steady_clock::time_point sent_{};    // nothing was owed to upstream any more but by the adapter
  steady_clock::duration connect_time_{0};
  std::chrono::nanoseconds overhead_{-1};  // LiteLLM's own; < 0: it said none

  std::unique_ptr<request_trace> trace_;   // null: tracing is off
  std::unique_ptr<ui_watch> watch_;        // of a request for /ui/events
  std::unique_ptr<scrape_answer> scrape_;  // of an answer to /metrics, until its client has it
};

session_actor::behavior_type session(session_state::self_pointer self,
                                     std::shared_ptr<const session_context> context,
                                     std::shared_ptr<connection> client);

}  // namespace llm_proxy
