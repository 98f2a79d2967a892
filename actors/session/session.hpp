// Answers one request. The acceptor spawns it when the head of a request has arrived. It ends when its answer
// is complete, or when its client has left.
//
//   authorizing ─▶ routing ─▶ queued ─▶ reading ─▶ opening ─▶ streaming ─▶ closed
//        │            │         │         │          │  passed on as it comes
//        │            │         │         │          ├─▶ holding ─▶ closed
//        │            │         │         │          │  held until it is whole
//        └────────────┴─────────┴─────────┴──────────┴──▶ end(), exactly once
//
// If no limit is set, a request is never queued. An upload (multipart, passed-through bodies) skips reading:
// its parts go to the adapter while it is opening.
//
// Deadlines:
// - queued: QUEUE_TIMEOUT, kept by the admission actor
// - reading, and an upload: the connection's CLIENT_BODY_TIMEOUT
// - opening: FIRST_BYTE_TIMEOUT, which runs until the first event of a stream
// - streaming and holding: IDLE_TIMEOUT
// - after a stream's last event ([DONE], message_stop, …): 200 ms, in which its framing has to end
// - the whole request: REQUEST_TIMEOUT, or the time in x-request-timeout-ms if that is less
// After STREAM_COMMIT_AFTER of silence a stream is opened before its first event, and comments keep it alive.
//
// The functions of intake.hpp decide whether a request may be served. One try at one upstream is an attempt.
// A request may begin another attempt until the client has got a byte (session_retry.cpp). The reply writes
// what the client gets. The record keeps what the log, the metrics and the trace report when the request
// ends.
#pragma once

#include "actors/messages/messages.hpp"
#include "actors/runtime/pinned.hpp"
#include "actors/session/attempt.hpp"
#include "actors/session/intake.hpp"
#include "actors/session/record.hpp"
#include "actors/session/reply.hpp"
#include "actors/session/session_context.hpp"
#include "actors/session/verdict.hpp"
#include "actors/telemetry/live_sessions.hpp"
#include "actors/telemetry/scrape_answer.hpp"
#include "actors/telemetry/ui_watch.hpp"
#include "http/downstream/exchange.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

class session_state : public exchange_events, private live_session {
 public:
  using self_pointer = pinned_pointer<session_actor, session_state>;

  static inline const char* name = "session";

  session_state() = default;
  virtual ~session_state();

  void begin(self_pointer self, std::shared_ptr<const session_context> context,
             std::shared_ptr<exchange> client);

  /// Returns whether the current message is from the adapter that has the request now, and not from one that
  /// had it before.
  bool is_from_upstream() const {
    return (tried_upstreams_ == 0 && record_.retries == 0) || sender_has_lease();
  }

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

  /// How the client's answer ends.
  enum class closing : std::uint8_t {
    whole,   ///< by its framing
    broken,  ///< without the end of its framing, so that the client sees that something is missing
    none     ///< the client has left
  };

  /// The deadlines of the request. Those that it does not need are null.
  struct clocks {
    std::optional<deadline> phase;      // of the phase
    std::unique_ptr<deadline> total;    // of the request
    std::unique_ptr<deadline> silence;  // STREAM_COMMIT_AFTER, then the pause between comments
    std::unique_ptr<deadline> pause;    // before a retry

    void stop() {
      phase.reset();
      total.reset();
      silence.reset();
      pause.reset();
    }
  };

  /// A body that is passed on as it comes.
  struct upload {
    using parts = std::vector<std::pair<std::string, bool>>;

    bool exists = false;
    bool is_coming = false;  // parts of it are still missing
    /// The parts that were sent to the adapter, kept until the adapter has sent the first of them on (at most
    /// body_window). Until then the upload can still go to another upstream. Null after that, and if there is
    /// only one upstream.
    std::unique_ptr<parts> given;
  };

  // From the connection.
  void on_body_grown(std::string_view so_far) override;
  void on_body(std::string&& body) override;
  void on_body_part(std::string&& bytes, bool last) override;
  void on_body_failed(const failure& fault) override;
  void on_client_gone() override;
  void on_sent() override;
  void on_forced_end() override;

  // The phases in their order. They are in session.cpp, and from begin_upstream() on in session_request.cpp.
  void read_head();
  void ask_auth();
  void route();
  void begin_upstream();
  void ask_admission();
  void read_request();
  void take_body(std::string&& body);
  void resolve(const body_plan& plan);
  void lease(bool last_resort = false);
  void open();
  std::shared_ptr<upstream_request> make_upstream_request();
  void end(verdict how, closing as);

  void enter_phase(phase next);
  void note_phase(phase next);
  std::optional<failure> limit_time();
  /// What a deadline calls.
  template <void (session_state::*Handler)()>
  deadline_call calling();

  // Upstream's answer (session_answer.cpp).
  void begin_answer(response_head&& head);
  void take_bytes(std::string&& bytes);
  void take_events(std::string_view bytes);
  void refuse_first_event(std::string_view event);
  void pass_on(std::string_view bytes);
  void open_reply();
  header_list client_headers_of_answer();
  void hold(std::string&& bytes);
  void release_held();
  void end_upstream();
  void end_with_head();
  void end_stream();
  void end_complete_stream(std::string_view rest);
  void note_complete_stream();
  void end_held();
  void end_early_stream(const held_verdict& outcome);
  void grant();
  void await_more();

  // The deadlines (session_waits.cpp, together with what the client does).
  void on_idle();
  void on_silence();
  void on_total_deadline();

  // Failures (session_failure.cpp) and retries (session_retry.cpp).
  void fail(failure reason);
  void refuse(const failure& reason, header_list headers = {}, std::string_view detail = {});
  void on_open_failed(failure reason);
  bool reach_another();
  bool retry(unsigned status, const error_advice& advice);
  void start_over();
  void lease_again() { lease(); }
  void cancel_upstream(steady_clock::time_point since = {});
  void note_unreachable();
  void note_reachable(unsigned status);
  void judge_upstream(const failure& reason);
  void note_patience_over();
  bool sender_has_lease() const;
  bool several_upstreams() const { return context_->upstreams && context_->upstreams->size() > 1; }
  bool may_open_again() const { return context_->options.retries > 0 || several_upstreams(); }

  // Own routes: session_own.cpp, session_websocket.cpp, session_scrape.cpp (GET /metrics), session_watch.cpp
  // (/ui/events).
  void answer_health(unsigned status, std::string_view state);
  void answer_preflight();
  void answer_models();
  void answer_page();
  void answer_own();
  std::optional<failure> take_websocket_key();
  void open_websocket();
  void answer_metrics();
  void send_metrics(const metrics_text& all);
  void send_more_metrics();
  void give_metrics_up();
  void watch();
  void look();
  void tell();

  session_sample sample() const override;
  std::string_view key_name() const override {
    return record_.key ? std::string_view{record_.key->name} : "";
  }
  bool is_public() const;
  bool goes_upstream() const;
  answer_terms terms() const;
  dialect speaks() const;
  const request_head& head() const { return *record_.head; }

  self_pointer self_ = nullptr;
  /// Keeps the actor alive. While it waits for its client nobody else refers to it, and CAF ends actors that
  /// nobody refers to.
  caf::strong_actor_ptr alive_;
  std::shared_ptr<const session_context> context_;
  std::shared_ptr<exchange> client_;
  phase phase_ = phase::closed;
  bool is_beginning_ = true;  // the actor's behavior is not set yet
  bool is_counted_ = false;   // it counts in context_->in_flight
  bool is_operator_ = false;  // as the principal says
  bool adds_usage_ = false;   // the body was changed to ask for the usage, for which the client did not ask
  route_match route_;
  clocks clocks_;
  std::shared_ptr<const void> slot_;      // null if no limit is set
  std::unique_ptr<request_check> check_;  // reads a body that arrives in pieces; otherwise null
  // Never changed once an adapter has it. Kept as long as it may have to be sent again.
  std::shared_ptr<std::string> body_;
  upload upload_;
  std::optional<steady_clock::time_point> allowed_until_;  // set if the client sent x-request-timeout-ms
  bool is_shortened_ = false;                              // whether that header shortened the time
  upstream_set tried_upstreams_ = 0;                       // the upstreams that failed this request
  attempt attempt_;
  reply reply_;
  request_record record_;

  std::unique_ptr<request_trace> trace_;   // null if tracing is off
  std::unique_ptr<ui_watch> watch_;        // only for a request for /ui/events
  std::unique_ptr<scrape_answer> scrape_;  // only for an answer to /metrics, until its client has all of it
};

template <void (session_state::*Handler)()>
deadline_call session_state::calling() {
  return {[this] { enter(self_, [this] { (this->*Handler)(); }); }};
}

session_actor::behavior_type session(session_state::self_pointer self,
                                     std::shared_ptr<const session_context> context,
                                     std::shared_ptr<exchange> client);

}  // namespace llm_proxy
