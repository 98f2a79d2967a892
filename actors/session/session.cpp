#include "actors/session/session.hpp"

#include "config/log_safe.hpp"
#include "config/request_steps.hpp"
#include "http/request/host_check.hpp"
#include "http/wire/request_id.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace llm_proxy {

// -- from the head to the body ------------------------------------------------------

void session_state::begin(self_pointer self, std::shared_ptr<const session_context> context,
                          std::shared_ptr<connection> client) {
  self_ = self;
  alive_ = caf::strong_actor_ptr{self->ctrl()};
  context_ = std::move(context);
  client_ = std::move(client);
  head_ = client_->head();
  started_ = steady_clock::now();
  ++context_->counted->sessions;
  const auto given_id = head_->headers.find("x-request-id");
  id_ = given_id && is_sane_request_id(*given_id) ? std::string{*given_id} : make_request_id();
  phase_ = phase::authorizing;
  if (client_->closed()) {
    finish(verdict::client_gone);
  } else {
    client_->attach(this);
    read_head();
  }
  beginning_ = false;
  // Before its behavior is set an actor cannot quit.
  if (phase_ == phase::closed) caf::anon_send_exit(self_, caf::exit_reason::user_shutdown);
}

void session_state::read_head() {
  if (context_->options.request_timeout.count() > 0) {
    total_ = std::make_unique<deadline>(context_->home->timers(),
                                        [this] { enter(self_, [this] { on_total_deadline(); }); });
    total_->expires_after(context_->options.request_timeout);
  }
  if (client_->head_fault().code != errc::none) {
    refuse(client_->head_fault());
  } else if (auto fault = check_host(); fault.code != errc::none) {
    refuse(fault);
  } else if (is_public()) {
    route();
  } else {
    ask_auth();
  }
}

/// Before the key is asked for: a page that has guessed it is to learn nothing. Health says nothing worth
/// hiding, and probes name a service as they like.
failure session_state::check_host() const {
  const auto& own = context_->options.local_host;
  if (!own || is_public_path(head_->path(), health_paths)) return {errc::none, {}, {}, {}};
  auto foreign = foreign_origin_of(*head_, *own);
  if (foreign.empty()) return {errc::none, {}, {}, {}};
  return {errc::host_not_allowed, {}, std::move(foreign), {}};
}

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
    spdlog::trace("request {}: {}", log_safe(id_), words_for(next));
}

void session_state::ask_auth() {
  // The deadline stands on the phase, not on each message: none of these waits for anything outside the
  // process.
  self_->request(context_->auth, caf::infinite, authorize{head_})
      .then(
          [this](principal& who) {
            key_ = std::move(who.rules);
            is_operator_ = who.is_operator;
            auth_time_ = steady_clock::now() - started_;
            route();
          },
          [this](const caf::error& error) {
            auth_time_ = steady_clock::now() - started_;
            refuse(to_failure(error));
          });
}

void session_state::route() {
  enter_phase(phase::routing);
  const auto& options = context_->options;
  route_ =
      find_route(head_->method, head_->path(), options.passthrough_paths, options.ui, options.own_routes);
  if (context_->admin && route_.target != endpoint::none && !is_public_path(head_->path(), admin_paths)) {
    route_ = {};
  }
  if (log_steps()) {
    log_step(id_, "{} {}, {}", log_safe(head_->method), route_label(),
             key_ ? "key " + key_->name : "without a key");
  }
  switch (route_.target) {
    case endpoint::none:
      refuse({errc::not_found, {}, {}, {}});
      break;
    case endpoint::wrong_method: {
      header_list allow;
      allow.add("allow", route_.detail);
      refuse({errc::method_not_allowed, {}, {}, {}}, std::move(allow));
      break;
    }
    case endpoint::health:
      answer_health(200, "healthy");
      break;
    case endpoint::live:
      answer_health(200, "live");
      break;
    case endpoint::ready:
      answer_ready();
      break;
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

void session_state::begin_upstream() {
  auto fault = check_head();
  if (fault.code == errc::none) fault = limit_time();
  if (fault.code != errc::none) {
    refuse(fault);
    return;
  }
  counted_ = true;
  if (context_->tracing) begin_trace();
  context_->live->add(*this);
  if (context_->options.retries > 0) context_->budget->earn();
  context_->in_flight->fetch_add(1, std::memory_order_relaxed);
  if (is_limited()) {
    ask_admission();
  } else {
    read_request();
  }
}

void session_state::read_request() {
  judge_ = stream_judge{route_.row->speaks};
  upload_ = route_.row->body == body_kind::multipart || route_.row->body == body_kind::any;
  if (upload_ || route_.row->body == body_kind::none) {
    lease();
    return;
  }
  enter_phase(phase::reading);
  client_->read_body(context_->options.max_body_bytes);
}

failure session_state::check_head() const {
  const auto& headers = head_->headers;
  if (headers.find("expect") && !head_->expects_continue && head_->minor_version == 1) {
    return {errc::expectation_failed, {}, {}, {}};
  }
  const auto kind = route_.row->body;
  if (kind == body_kind::none) return {errc::none, {}, {}, {}};
  if (const auto encoding = headers.find("content-encoding");
      encoding && !iequals(trimmed(*encoding), "identity")) {
    return {errc::unsupported_encoding, {}, {}, {}};
  }
  const auto type = headers.find("content-type");
  const bool wants_json = kind == body_kind::json || kind == body_kind::optional_json;
  if (wants_json && type && !is_json_media(media_type(*type)))
    return {errc::unsupported_media_type, {}, {}, {}};
  if (kind == body_kind::multipart) {
    if (!type || !iequals(media_type(*type), "multipart/form-data"))
      return {
          errc::unsupported_media_type, "The body must be sent as content-type multipart/form-data.", {}, {}};
    if (!has_boundary(*type))
      return {
          errc::bad_request, "The content-type multipart/form-data names no boundary.", {}, "content-type"};
  }
  const auto limit = context_->options.max_body_bytes;
  if (head_->content_length.value_or(0) > limit) {
    return {errc::body_too_large, "The body is larger than " + std::to_string(limit) + " bytes.", {}, {}};
  }
  return {errc::none, {}, {}, {}};
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

void session_state::on_body_part(std::string&& bytes, bool last) {
  enter(self_, [&] {
    bytes_in_ += bytes.size();
    if (given_) given_->emplace_back(bytes, last);
    if (last) {
      uploading_ = false;
      sent_ = steady_clock::now();
    }
    if (!stream_open_) return;  // upstream has answered, or failed, without waiting for it
    self_->send(lease_.adapter, body_part{self_->id(), std::move(bytes), last});
    if (last && phase_ == phase::opening) deadline_->expires_after(context_->options.first_byte_timeout);
  });
}

void session_state::on_body_taken(std::size_t bytes) {
  given_.reset();
  if (uploading_) client_->take_more(bytes);
}

void session_state::on_body_failed(const failure& fault) {
  enter(self_, [&] {
    uploading_ = false;
    refuse(fault);
  });
}

void session_state::take_body(std::string&& body) {
  bytes_in_ = body.size();
  const auto& row = *route_.row;
  if (row.body == body_kind::optional_json && body.empty()) {
    lease();
    return;
  }
  auto checked = check_ ? check_->finish(body) : check_request(*row.rules, body);
  check_.reset();
  if (auto* fault = std::get_if<request_fault>(&checked)) {
    const auto code = fault->status == 400 ? errc::invalid_json : errc::invalid_shape;
    const auto detail = code == errc::invalid_shape ? validation_detail(fault->fields) : std::string{};
    refuse({code, std::move(fault->message), {}, std::move(fault->param)}, {}, detail);
    return;
  }
  auto& request = std::get<gated_request>(checked);
  wants_stream_ = request.stream;
  if (auto fault = check_model_beside(request.brings_models); fault.code != errc::none) {
    refuse(fault);
    return;
  }
  // Without it the tokens of a key with a tpm would go uncounted.
  const bool wants_usage = context_->options.account_usage || key_->tpm > 0;
  if (wants_usage && request.stream && row.rules == &chat_rules && !request.usage_text.empty()) {
    add_usage(body, request);
    usage_added_ = true;
    judge_ = stream_judge{row.speaks, true};
  }
  body_ = std::make_shared<std::string>(std::move(body));
  if (!request.model_at.empty()) {
    resolve(request);
  } else if (auto fault = check_model({}, {}); fault.code != errc::none && row.body == body_kind::json) {
    refuse(fault);
  } else {
    lease();
  }
}

// -- to the adapter -----------------------------------------------------------------

void session_state::resolve(const gated_request& request) {
  enter_phase(phase::opening);
  model_ = request.model;
  const bool wants_provider = trace_ && trace_->span.own.sampled;
  self_->request(context_->registry, caf::infinite, resolve_model{model_, wants_provider})
      .then(
          [this, at = request.model_at](const resolved_model& resolved) {
            if (trace_) trace_->provider = resolved.provider;
            if (auto fault = check_model(model_, resolved.id); fault.code != errc::none) {
              refuse(fault);
              return;
            }
            if (log_steps()) {
              const bool same = resolved.id == model_;
              log_step(id_, "model {}{}", log_safe(model_),
                       same ? "" : ", which is " + log_safe(resolved.id));
            }
            if (resolved.id != model_) {
              model_ = resolved.id;
              splice(*body_, at.begin, at.end, json_quoted(model_));
            }
            lease();
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

/// Asks for an adapter. `last_resort`: of an upstream that was left out, since every usable one was tried.
void session_state::lease(bool last_resort) {
  enter_phase(phase::opening);
  self_->request(context_->pool, caf::infinite, lease_adapter{.tried = tried_, .last_resort = last_resort})
      .then(
          [this](adapter_lease& lease) {
            lease_ = std::move(lease);
            open();
          },
          [this](const caf::error& error) {
            header_list headers;
            headers.add("retry-after", "1");
            refuse(to_failure(error), std::move(headers));
          });
}

void session_state::open() {
  auto request = std::make_shared<upstream_request>();
  request->head = head_;
  request->request_id = id_;
  // A row for GET answers HEAD too, by what a GET brings; a row for every method passes HEAD on.
  request->method = head_->method == "HEAD" && !route_.row->method.empty() ? "GET" : head_->method;
  request->headers = route_.row->headers;
  request->path = route_.path;
  request->path += std::string_view{head_->target}.substr(head_->path().size());  // the query
  request->body = may_open_again() ? body_ : std::move(body_);
  request->stream = wants_stream_;
  const bool again = stream_opened_;
  stream_opened_ = true;
  if (!again) {
    // A passed-through GET has no body to wait for.
    uploading_ = upload_ = upload_ && head_->has_body();
    if (upload_ && several_upstreams()) given_ = std::make_unique<upload_parts>();
  }
  request->body_follows = upload_;
  if (upload_ && !head_->chunked) request->body_length = head_->content_length;
  if (allowed_until_) {
    request->time_left = std::chrono::duration_cast<std::chrono::milliseconds>(
        *allowed_until_ - context_->home->timers().now());
  }
  if (const auto told_as = context_->options.told_as; told_as != caller_header::none) {
    request->caller = std::make_shared<const upstream_caller>(
        upstream_caller{told_as, key_->name, client_->peer_address(), is_operator_});
  }
  if (trace_) pass_trace_on(*request);
  deadline_.emplace(context_->home->timers(), [this] { enter(self_, [this] { on_idle(); }); });
  // While its body is coming the connection's deadline watches the client.
  if (!uploading_) deadline_->expires_after(context_->options.first_byte_timeout);
  if (!silence_ && wants_stream_ && context_->options.stream_commit_after.count() > 0) {
    silence_ = std::make_unique<deadline>(context_->home->timers(),
                                          [this] { enter(self_, [this] { on_silence(); }); });
    silence_->expires_after(context_->options.stream_commit_after);
  }
  stream_open_ = true;
  opened_ = sent_ = steady_clock::now();
  self_->request(lease_.adapter, caf::infinite, open_stream{self_->id(), std::move(request), self_})
      .then([this](stream_head& answer) { on_head(std::move(answer)); },
            [this](const caf::error& error) { on_open_failed(to_failure(error)); });
  if (given_) {
    for (const auto& [bytes, last] : *given_)
      self_->send(lease_.adapter, body_part{self_->id(), bytes, last});
  }
  if (uploading_ && !again) client_->stream_body(context_->options.max_body_bytes, body_window);
}

void session_state::cancel_upstream(steady_clock::time_point since) {
  if (!std::exchange(stream_open_, false)) return;
  caf::anon_send(lease_.adapter, cancel_stream{self_->id(), since, judge_.last_event_seen()});
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
