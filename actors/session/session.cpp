#include "actors/session/session.hpp"

#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/request/cors.hpp"
#include "http/wire/request_id.hpp"

#include <utility>

namespace llm_proxy {

// -- authorizing and routing --------------------------------------------------------------

void session_state::begin(self_pointer self, std::shared_ptr<const session_context> context,
                          std::shared_ptr<exchange> client) {
  self_ = self;
  alive_ = caf::strong_actor_ptr{self->ctrl()};
  context_ = std::move(context);
  client_ = std::move(client);
  record_.head = client_->head();
  record_.started_at = steady_clock::now();
  ++context_->counted->sessions;
  const auto given_id = head().headers.find("x-request-id");
  record_.id = given_id && is_sane_request_id(*given_id) ? std::string{*given_id} : make_request_id();
  // ADMIN_PORT is not for browsers.
  const auto& origins = context_->options.cors_origins;
  reply_.begin(*client_, record_, origins.empty() || context_->admin ? nullptr : &origins);
  phase_ = phase::authorizing;
  if (client_->closed()) {
    end(verdict::client_gone, closing::none);
  } else {
    client_->attach(this);
    read_head();
  }
  is_beginning_ = false;
  // An actor cannot quit before its behavior is set.
  if (phase_ == phase::closed) caf::anon_send_exit(self_, caf::exit_reason::user_shutdown);
}

void session_state::read_head() {
  const auto& options = context_->options;
  if (options.request_timeout.count() > 0) {
    clocks_.total =
        std::make_unique<deadline>(context_->home->timers(), calling<&session_state::on_total_deadline>());
    clocks_.total->expires_after(options.request_timeout);
  }
  if (client_->head_fault().code != errc::none) {
    refuse(client_->head_fault());
  } else if (is_preflight(head()) && !context_->admin) {
    answer_preflight();
  } else if (const auto reason = check_host(head(), options.local_host)) {
    refuse(*reason);
  } else if (const auto fault = take_websocket_key()) {
    refuse(*fault);
  } else if (is_public()) {
    route();
  } else {
    ask_auth();
  }
}

bool session_state::is_public() const {
  const auto& options = context_->options;
  return context_->admin || is_public_path(head().path(), {options.ui, options.metrics_public});
}

void session_state::ask_auth() {
  // The phase has a deadline, but the single message needs none: auth does not wait for anything outside of
  // the process.
  self_->request(context_->auth, caf::infinite, authorize{record_.head})
      .then(
          [this](principal& who) {
            record_.key = std::move(who.rules);
            is_operator_ = who.is_operator;
            record_.auth_time = steady_clock::now() - record_.started_at;
            route();
          },
          [this](const caf::error& error) {
            record_.auth_time = steady_clock::now() - record_.started_at;
            refuse(to_failure(error));
          });
}

void session_state::route() {
  enter_phase(phase::routing);
  const auto& options = context_->options;
  route_ =
      find_route(head().method, head().path(), options.passthrough_paths, options.ui, options.own_routes);
  if (context_->admin && route_.target != endpoint::none && !is_public_path(head().path(), admin_paths))
    route_ = {};
  record_.row = route_.row;
  record_.has_timing = route_.target == endpoint::upstream;
  if (log_steps()) {
    log_step(record_.id, "{} {}, {}", log_safe(head().method), route_label(route_.row),
             record_.key ? "key " + record_.key->name : "without a key");
  }
  switch (route_.target) {
    case endpoint::none:
      refuse({.code = errc::not_found, .message = std::string{explain_not_found(head().path())}});
      break;
    case endpoint::wrong_method: {
      header_list allow;
      allow.add("allow", route_.detail);
      refuse({.code = errc::method_not_allowed}, std::move(allow));
      break;
    }
    case endpoint::health:
      answer_health(200, "healthy");
      break;
    case endpoint::live:
      answer_health(200, "live");
      break;
    case endpoint::ready: {
      const auto& health = *context_->health;
      if (health.ready())
        answer_health(200, "ready");
      else
        answer_health(503, health.draining ? "draining" : "no_usable_upstream");
      break;
    }
    case endpoint::metrics:
      answer_metrics();
      break;
    case endpoint::models:
    case endpoint::model:
    case endpoint::llm_models:
      answer_models();
      break;
    case endpoint::page:
      answer_page();
      break;
    case endpoint::ui_events:
      watch();
      break;
    case endpoint::websocket:
      open_websocket();
      break;
    case endpoint::own:
      answer_own();
      break;
    case endpoint::upstream:
      begin_upstream();
      break;
  }
}

/// Returns whether the path of the request leads to LiteLLM. This also works for a request that was refused
/// before it was routed.
bool session_state::goes_upstream() const {
  if (route_.target != endpoint::none || context_->admin) return route_.target == endpoint::upstream;
  const auto& options = context_->options;
  const auto found =
      find_route(head().method, head().path(), options.passthrough_paths, options.ui, options.own_routes);
  return found.target == endpoint::upstream;
}

// -- the end --------------------------------------------------------------------------------------

/// The only place where a request ends. First its answer is ended, then everything that it holds is given
/// back, then the log, the metrics and the trace get its record.
void session_state::end(verdict how, closing as) {
  record_.bytes_out = client_->body_bytes_written();
  if (as == closing::whole) client_->end_answer();
  if (as == closing::broken) client_->break_answer();
  if (phase_ == phase::closed) return;
  const bool was_queued = phase_ == phase::queued;
  note_phase(phase::closed);
  phase_ = phase::closed;
  cancel_upstream();
  clocks_.stop();
  auto& attempt = record_.attempt;
  if (attempt.response_model.empty()) attempt.response_model = std::move(attempt_.judge.model);

  attempt_.lease.slot.reset();
  if (was_queued) caf::anon_send(context_->admission, leave_queue{self_->id()});
  slot_.reset();
  if (attempt.usage && record_.key && record_.key->tpm > 0) {
    caf::anon_send(context_->admission, tokens_spent{record_.key, attempt.usage->prompt_tokens +
                                                                      attempt.usage->completion_tokens});
  }
  if (std::exchange(is_counted_, false)) context_->in_flight->fetch_sub(1, std::memory_order_relaxed);
  watch_.reset();
  scrape_.reset();

  const auto now = steady_clock::now();
  const auto ms = record_.since_start(now).count();
  context_->live->end(*this, to_string(how), record_.status);
  log_access(log_line_of(record_, how, ms, trace_ ? trace_->span.own.trace_id() : std::string_view{}));
  --context_->counted->sessions;
  context_->counted->record(facts_of(record_, how, ms));
  if (trace_ && trace_->span.own.sampled) {
    const bool has_server = context_->upstreams && attempt.was_opened();
    const auto server = has_server ? context_->upstreams->name(attempt_.lease.upstream) : std::string_view{};
    const auto& tracing = *context_->tracing;
    if (tracing.finished->push(span_of(record_, std::move(*trace_), how, now, server)))
      caf::anon_send(tracing.exporter, export_due{});
  }
  attempt_.lease = {};
  if (!is_beginning_) self_->leave();
  // This comes last: in the handler of a socket, nothing but the exit message of leave() refers to the actor
  // after it.
  const auto until_return = std::move(alive_);
}

session_state::~session_state() {
  if (phase_ == phase::closed) return;
  // The actor dies of an exception. Its client still gets an answer, and its slots are given back.
  try {
    fail({.code = errc::internal, .detail = "the session's actor died"});
  } catch (const std::exception& error) {
    spdlog::critical("session: {}", error.what());
    context_->live->remove(*this);
    client_->attach(nullptr);
    client_->end_without_memory();
  }
}

session_sample session_state::sample() const {
  auto now = sample_of(record_, steady_clock::now(), client_->body_bytes_written());
  // The record has the usage of a stream only when the stream has ended.
  if (!now.tokens && attempt_.judge.usage) now.tokens = attempt_.judge.usage->completion_tokens;
  return now;
}

// -- phases -----------------------------------------------------------------------------------------

std::string_view session_state::words_for(phase which) {
  switch (which) {
    case phase::authorizing:
      return "its key is checked";
    case phase::routing:
      return "its route is looked up";
    case phase::queued:
      return "it waits for a place";
    case phase::reading:
      return "its body is read";
    case phase::opening:
      return "its upstream is asked";
    case phase::holding:
      return "its answer is held";
    case phase::streaming:
      return "its answer is passed on";
    case phase::closed:
      break;
  }
  return "it has ended";
}

void session_state::enter_phase(phase next) {
  note_phase(next);
  phase_ = next;
  if (spdlog::should_log(spdlog::level::trace))
    spdlog::trace("request {}: {}", log_safe(record_.id), words_for(next));
}

/// Counts the open streams, and measures the time in the queue.
void session_state::note_phase(phase next) {
  if (next == phase_) return;
  auto& counted = *context_->counted;
  if (next == phase::queued) record_.queued_at = steady_clock::now();
  if (phase_ == phase::queued) {
    record_.queue_time = steady_clock::now() - record_.queued_at;
    counted.queue_wait.add(std::chrono::duration<double>(record_.queue_time).count());
  }
  if (next == phase::streaming) ++counted.streams_open;
  if (phase_ == phase::streaming) --counted.streams_open;
}

session_actor::behavior_type session(session_state::self_pointer self,
                                     std::shared_ptr<const session_context> context,
                                     std::shared_ptr<exchange> client) {
  self->state.begin(self, std::move(context), std::move(client));
  return {
      [self](stream_chunk& chunk) {
        if (self->state.is_from_upstream()) self->state.on_chunk(std::move(chunk));
      },
      [self](stream_failed& failed) {
        if (self->state.is_from_upstream()) self->state.on_stream_failed(std::move(failed.reason));
      },
      [self](const body_taken& taken) {
        if (self->state.is_from_upstream()) self->state.on_body_taken(taken.bytes);
      },
  };
}

}  // namespace llm_proxy
