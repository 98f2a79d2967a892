// What a session may: a slot where limits are set, and the models of its key.
#include "actors/session/session.hpp"
#include "config/log_safe.hpp"
#include "http/keys/model_rules.hpp"

#include <utility>

namespace llm_proxy {

namespace {

const failure none{errc::none, {}, {}, {}};

}  // namespace

bool session_state::is_limited() const {
  return context_->options.limits_all || context_->memory || key_->limited() || !key_->models.empty();
}

/// Before the body is read: what is refused costs nothing more.
void session_state::ask_admission() {
  if (auto fault = check_form(); fault.code != errc::none) {
    refuse(fault);
    return;
  }
  if (context_->memory && context_->memory->exceeded()) {
    header_list headers;
    // Memory comes back when streams end and what they held is trimmed: not at once.
    headers.add("retry-after", "5");
    refuse({errc::overloaded, "The service is at its limit of memory.", "MAX_MEMORY", {}},
           std::move(headers));
    return;
  }
  if (!context_->options.limits_all && !key_->limited()) {
    read_request();
    return;
  }
  enter_phase(phase::queued);
  const auto cost = route_.row->is_rated ? request_cost::full : request_cost::slot_only;
  self_->request(context_->admission, caf::infinite, request_slot{self_->id(), key_, cost})
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

void session_state::leave_admission(phase from) {
  if (from == phase::queued) caf::anon_send(context_->admission, leave_queue{self_->id()});
  slot_.reset();
  if (usage_ && key_ && key_->tpm > 0) {
    caf::anon_send(context_->admission,
                   tokens_spent{key_, usage_->prompt_tokens + usage_->completion_tokens});
  }
}

// -- the key's models ----------------------------------------------------------------

/// A body that is passed on unread names a model nobody checks.
failure session_state::check_form() const {
  if (key_->models.empty()) return none;
  const auto kind = route_.row->body;
  if (kind == body_kind::multipart || kind == body_kind::any) {
    return {errc::model_not_allowed,
            "This key may use certain models only, and the model of this request cannot be seen.",
            {},
            "model"};
  }
  return none;
}

failure session_state::check_model_beside(std::string_view member) const {
  if (key_->models.empty()) return none;
  const auto found = has_model_in_query(head_->target) ? std::string_view{"model"} : member;
  if (found.empty()) return none;
  return {errc::model_not_allowed,
          "This key may use certain models only, and '" + std::string{found} + "' can name others.",
          {},
          std::string{found}};
}

failure session_state::check_model(std::string_view asked, std::string_view resolved) const {
  if (key_->models.empty()) return none;
  const auto& allowed = key_->models;
  if (allows_model(allowed, asked) || allows_model(allowed, resolved)) return none;
  return {errc::model_not_allowed, "This key may not use the model '" + log_safe(asked) + "'.", {}, "model"};
}

}  // namespace llm_proxy
