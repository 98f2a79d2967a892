#include "actors/session/session.hpp"

#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/json/json_text.hpp"
#include "http/wire/request_id.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace llm_proxy {

namespace {

/// Memory comes back when streams end and what they held is trimmed: not at once.
constexpr std::string_view retry_after_memory = "5";

header_list retry_after(std::string_view seconds) {
  header_list headers;
  headers.add("retry-after", seconds);
  return headers;
}

}  // namespace

// -- authorizing and routing --------------------------------------------------------------

void session_state::begin(self_pointer self, std::shared_ptr<const session_context> context,
                          std::shared_ptr<connection> client) {
  self_ = self;
  alive_ = caf::strong_actor_ptr{self->ctrl()};
  context_ = std::move(context);
  client_ = std::move(client);
  record_.head = client_->head();
  record_.started_at = steady_clock::now();
  ++context_->counted->sessions;
  const auto given_id = head().headers.find("x-request-id");
  record_.id = given_id && is_sane_request_id(*given_id) ? std::string{*given_id} : make_request_id();
  reply_.begin(*client_, record_);
  phase_ = phase::authorizing;
  if (client_->closed()) {
    end(verdict::client_gone, closing::none);
  } else {
    client_->attach(this);
    read_head();
  }
  is_beginning_ = false;
  // Before its behavior is set an actor cannot quit.
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
  } else if (const auto reason = check_host(head(), options.local_host)) {
    refuse(*reason);
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
  // The deadline stands on the phase, not on each message: none of these waits for anything outside the
  // process.
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
      refuse({.code = errc::not_found});
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
    case endpoint::own:
      answer_own();
      break;
    case endpoint::upstream:
      begin_upstream();
      break;
  }
}

/// Whether the request's path goes to LiteLLM, also of one that was refused before it was routed.
bool session_state::goes_upstream() const {
  if (route_.target != endpoint::none || context_->admin) return route_.target == endpoint::upstream;
  const auto& options = context_->options;
  const auto found =
      find_route(head().method, head().path(), options.passthrough_paths, options.ui, options.own_routes);
  return found.target == endpoint::upstream;
}

void session_state::begin_upstream() {
  const auto& options = context_->options;
  auto reason = check_head(head(), route_.row->body, options.max_body_bytes);
  if (!reason) reason = limit_time();
  if (reason) {
    refuse(*reason);
    return;
  }
  is_counted_ = true;
  if (context_->tracing)
    trace_ =
        begin_trace(head().headers, context_->tracing->sampler, steady_clock::now() - record_.started_at);
  context_->live->add(*this);
  if (options.retries > 0) context_->budget->earn();
  context_->in_flight->fetch_add(1, std::memory_order_relaxed);
  const bool is_limited =
      options.limits_all || context_->memory || record_.key->limited() || !record_.key->models.empty();
  if (is_limited)
    ask_admission();
  else
    read_request();
}

/// Takes x-request-timeout-ms into account.
std::optional<failure> session_state::limit_time() {
  auto read = read_time_limit(head(), context_->options.request_timeout);
  if (auto* reason = std::get_if<failure>(&read)) return std::move(*reason);
  const auto& limit = std::get<std::optional<time_limit>>(read);
  if (!limit) return std::nullopt;
  is_shortened_ = limit->is_shortened;
  const auto passed =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - record_.started_at);
  allowed_until_ = context_->home->timers().now() + limit->allowed - passed;
  if (!clocks_.total) {
    clocks_.total =
        std::make_unique<deadline>(context_->home->timers(), calling<&session_state::on_total_deadline>());
  }
  if (is_shortened_) clocks_.total->expires_at(*allowed_until_);
  return std::nullopt;
}

// -- queued -----------------------------------------------------------------------------------

/// Before the body is read: what is refused costs nothing more.
void session_state::ask_admission() {
  if (const auto reason = check_form(*record_.key, route_.row->body)) {
    refuse(*reason);
    return;
  }
  if (context_->memory && context_->memory->exceeded()) {
    refuse({.code = errc::overloaded,
            .message = "The service is at its limit of memory.",
            .detail = "MAX_MEMORY"},
           retry_after(retry_after_memory));
    return;
  }
  if (!context_->options.limits_all && !record_.key->limited()) {
    read_request();
    return;
  }
  enter_phase(phase::queued);
  const auto cost = route_.row->is_rated ? request_cost::full : request_cost::slot_only;
  self_->request(context_->admission, caf::infinite, request_slot{self_->id(), record_.key, cost})
      .then(
          [this](slot_decision& decided) {
            if (phase_ != phase::queued) return;  // the slot goes back with the message
            if (!decided.slot) {
              enter_phase(phase::routing);
              refuse(decided.fault, std::move(decided.headers));
              return;
            }
            slot_ = std::move(decided.slot);
            client_->restart_body_time();
            read_request();
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

// -- reading ----------------------------------------------------------------------------------

void session_state::read_request() {
  const auto body = route_.row->body;
  attempt_.judge = stream_judge{route_.row->speaks};
  upload_.exists = body == body_kind::multipart || body == body_kind::any;
  if (upload_.exists || body == body_kind::none) {
    lease();
    return;
  }
  enter_phase(phase::reading);
  client_->read_body(context_->options.max_body_bytes);
}

void session_state::on_body_grown(std::string_view so_far) {
  enter(self_, [&] {
    if (!check_) check_ = std::make_unique<request_check>(*route_.row->rules);
    check_->feed(so_far);
  });
}

void session_state::on_body(std::string&& body) {
  enter(self_, [&] { take_body(std::move(body)); });
}

void session_state::on_body_failed(const failure& fault) {
  enter(self_, [&] {
    upload_.is_coming = false;
    refuse(fault);
  });
}

void session_state::take_body(std::string&& body) {
  record_.bytes_in = body.size();
  // Without it the tokens of a key with a tpm would go uncounted.
  const bool wants_usage = context_->options.account_usage || record_.key->tpm > 0;
  auto judged = plan_body(*route_.row, *record_.key, head().target, std::move(check_), wants_usage, body);
  if (const auto* refused = std::get_if<refused_body>(&judged)) {
    record_.stream = refused->stream;
    refuse(refused->reason, {}, refused->detail);
    return;
  }
  const auto& plan = std::get<body_plan>(judged);
  record_.stream = plan.stream;
  adds_usage_ = plan.adds_usage;
  if (adds_usage_) attempt_.judge = stream_judge{route_.row->speaks, true};
  if (!body.empty()) body_ = std::make_shared<std::string>(std::move(body));
  if (plan.model_at.empty())
    lease();
  else
    resolve(plan);
}

void session_state::on_body_part(std::string&& bytes, bool last) {
  enter(self_, [&] {
    record_.bytes_in += bytes.size();
    if (upload_.given) upload_.given->emplace_back(bytes, last);
    if (last) {
      upload_.is_coming = false;
      record_.attempt.sent_at = steady_clock::now();
    }
    if (!attempt_.is_open) return;  // upstream has answered, or failed, without waiting for it
    self_->send(attempt_.lease.adapter, body_part{self_->id(), std::move(bytes), last});
    if (last && phase_ == phase::opening) clocks_.phase->expires_after(context_->options.first_byte_timeout);
  });
}

void session_state::on_body_taken(std::size_t bytes) {
  upload_.given.reset();
  if (upload_.is_coming) client_->take_more(bytes);
}

// -- opening ------------------------------------------------------------------------------------

void session_state::resolve(const body_plan& plan) {
  enter_phase(phase::opening);
  record_.model = plan.model;
  const bool wants_provider = trace_ && trace_->span.own.sampled;
  self_->request(context_->registry, caf::infinite, resolve_model{record_.model, wants_provider})
      .then(
          [this, at = plan.model_at](const resolved_model& resolved) {
            if (trace_) trace_->provider = resolved.provider;
            if (const auto reason = check_model(*record_.key, record_.model, resolved.id)) {
              refuse(*reason);
              return;
            }
            const bool is_same = resolved.id == record_.model;
            if (log_steps()) {
              log_step(record_.id, "model {}{}", log_safe(record_.model),
                       is_same ? "" : ", which is " + log_safe(resolved.id));
            }
            if (!is_same) {
              record_.model = resolved.id;
              splice(*body_, at.begin, at.end, json_quoted(record_.model));
            }
            lease();
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

/// Asks for an adapter. `last_resort`: of an upstream that was left out, since every usable one was tried.
void session_state::lease(bool last_resort) {
  enter_phase(phase::opening);
  self_
      ->request(context_->pool, caf::infinite,
                lease_adapter{.tried = tried_upstreams_, .last_resort = last_resort})
      .then(
          [this](adapter_lease& lease) {
            attempt_.lease = std::move(lease);
            open();
          },
          [this](const caf::error& error) { refuse(to_failure(error), retry_after("1")); });
}

void session_state::open() {
  const auto& options = context_->options;
  const bool is_first = !record_.attempt.was_opened();
  if (is_first) {
    // A passed-through GET has no body to wait for.
    upload_.is_coming = upload_.exists = upload_.exists && head().has_body();
    if (upload_.exists && several_upstreams()) upload_.given = std::make_unique<upload::parts>();
  }
  auto request = make_upstream_request();
  clocks_.phase.emplace(context_->home->timers(), calling<&session_state::on_idle>());
  // While its body is coming the connection's deadline watches the client.
  if (!upload_.is_coming) clocks_.phase->expires_after(options.first_byte_timeout);
  if (!clocks_.silence && record_.stream && options.stream_commit_after.count() > 0) {
    clocks_.silence =
        std::make_unique<deadline>(context_->home->timers(), calling<&session_state::on_silence>());
    clocks_.silence->expires_after(options.stream_commit_after);
  }
  attempt_.is_open = true;
  record_.attempt.opened_at = record_.attempt.sent_at = steady_clock::now();
  self_->request(attempt_.lease.adapter, caf::infinite, open_stream{self_->id(), std::move(request), self_})
      .then([this](stream_head& answer) { on_head(std::move(answer)); },
            [this](const caf::error& error) { on_open_failed(to_failure(error)); });
  if (upload_.given) {
    for (const auto& [bytes, last] : *upload_.given)
      self_->send(attempt_.lease.adapter, body_part{self_->id(), bytes, last});
  }
  if (upload_.is_coming && is_first) client_->stream_body(options.max_body_bytes, body_window);
}

std::shared_ptr<upstream_request> session_state::make_upstream_request() {
  auto request = std::make_shared<upstream_request>();
  const auto& row = *route_.row;
  request->head = record_.head;
  request->request_id = record_.id;
  // A row for GET answers HEAD too, by what a GET brings; a row for every method passes HEAD on.
  request->method = head().method == "HEAD" && !row.method.empty() ? "GET" : head().method;
  request->headers = row.headers;
  request->path = route_.path;
  request->path += std::string_view{head().target}.substr(head().path().size());  // the query
  request->body = may_open_again() ? body_ : std::move(body_);
  request->stream = record_.stream;
  request->body_follows = upload_.exists;
  if (upload_.exists && !head().chunked) request->body_length = head().content_length;
  if (allowed_until_) {
    request->time_left = std::chrono::duration_cast<std::chrono::milliseconds>(
        *allowed_until_ - context_->home->timers().now());
  }
  if (const auto told_as = context_->options.told_as; told_as != caller_header::none) {
    request->caller = std::make_shared<const upstream_caller>(
        upstream_caller{told_as, record_.key->name, client_->peer_address(), is_operator_});
  }
  if (trace_) {
    request->traceparent = format_traceparent(trace_->span.own);
    request->drops_tracestate = !trace_->span.parent;
  }
  return request;
}

// -- the end --------------------------------------------------------------------------------------

/// The one place where a request ends: its answer, then all that it holds, then what is told of it.
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
  // Last: from a socket's handler the exit message is what still holds the actor.
  const auto until_return = std::move(alive_);
}

session_state::~session_state() {
  if (phase_ == phase::closed) return;
  // The actor dies of an exception: its client still gets an answer, its slots are given back.
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
  // A stream's usage is noted when it has ended.
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

/// Counts streams that are open, and the time in the queue.
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
                                     std::shared_ptr<connection> client) {
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
