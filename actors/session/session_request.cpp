// How a request gets to LiteLLM: its slot, its body, its model, its adapter.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/json/json_text.hpp"

#include <utility>
#include <variant>

namespace llm_proxy {

namespace {

/// Memory comes back only some time after streams have ended, when it is trimmed.
constexpr std::string_view retry_after_memory = "5";

header_list retry_after(std::string_view seconds) {
  header_list headers;
  headers.add("retry-after", seconds);
  return headers;
}

}  // namespace

// -- what may be asked -----------------------------------------------------------------------

void session_state::begin_upstream() {
  const auto& options = context_->options;
  auto reason = check_group(*record_.key, is_operator_, route_.row->group);
  if (!reason) reason = check_head(head(), route_.row->body, options.max_body_bytes);
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

/// Called before the body is read, so that a refused request costs nothing more.
void session_state::ask_admission() {
  if (const auto reason = check_form(*record_.key, *route_.row, head())) {
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
  const auto cost = is_rated(*route_.row, head().method) ? request_cost::full : request_cost::slot_only;
  self_->request(context_->admission, caf::infinite, request_slot{self_->id(), record_.key, cost})
      .then(
          [this](slot_decision& decided) {
            if (phase_ != phase::queued) return;  // the end of the message gives the slot back
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
  // A key with a tpm needs the usage even without ACCOUNT_USAGE, because its tokens are counted from it.
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
    if (!attempt_.is_open) return;  // upstream has answered or failed without waiting for the rest
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

/// Asks for an adapter. With `last_resort` it may be one of an upstream that was left out, because every
/// usable one was tried.
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
  // While the body arrives, the connection's own deadline (CLIENT_BODY_TIMEOUT) watches the client.
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
  // A row for GET answers a HEAD too, by sending a GET to upstream. A row for every method passes HEAD on.
  request->method = head().method == "HEAD" && !row.method.empty() ? "GET" : head().method;
  request->headers = row.headers;
  request->path = route_.version;
  request->path += route_.path;
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

}  // namespace llm_proxy
