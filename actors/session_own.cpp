// What the service answers by itself: its health, its models, routes of one's own.
#include "actors/session.hpp"
#include "config/log_safe.hpp"
#include "http/model_rules.hpp"
#include "http/openai.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace llm_proxy {

void session_state::answer_health(unsigned status, std::string_view state) {
  answer_json(status, R"({"status":")" + std::string{state} + R"(","service":"llm-proxy","version":)" +
                          json_quoted(context_->options.version) + "}");
  end_answer(verdict::complete);
}

void session_state::answer_ready() {
  const auto& health = *context_->health;
  if (health.ready()) {
    answer_health(200, "ready");
  } else {
    answer_health(503, health.draining ? "draining" : "no_usable_upstream");
  }
}

void session_state::answer_own() {
  auto answer = route_.row->answer(*head_, *key_);
  answer_text(answer.head.status, answer.body, std::move(answer.head.headers));
  end_answer(verdict::complete);
}

/// Whether the client speaks Anthropic's API: then so do lists of models.
bool session_state::asks_as_anthropic() const {
  const bool has_both = route_.target == endpoint::models || route_.target == endpoint::model;
  return has_both && head_->headers.find("anthropic-version").has_value();
}

/// A key with a list of models sees what it may use, and nothing else exists for it.
bool session_state::may_see(const model_entry& entry) const {
  return key_->models.empty() || allows_model(key_->models, entry.id) ||
         (!entry.stands_for.empty() && allows_model(key_->models, entry.stands_for));
}

void session_state::refuse_model() {
  refuse({errc::model_not_found, "The model '" + log_safe(route_.detail) + "' does not exist.", {}, "model"});
}

void session_state::answer_openai_models(const std::vector<model_entry>& all) {
  std::vector<model_entry> seen;
  std::copy_if(all.begin(), all.end(), std::back_inserter(seen),
               [this](const auto& entry) { return may_see(entry); });
  if (route_.target == endpoint::llm_models) {
    answer_json(200, llm_models_body(seen));
  } else if (route_.target == endpoint::models) {
    answer_json(200, models_list_body(seen));
  } else {
    const auto at =
        std::find_if(seen.begin(), seen.end(), [&](const auto& entry) { return entry.id == route_.detail; });
    if (at == seen.end()) {
      refuse_model();
      return;
    }
    answer_json(200, model_body(*at));
  }
  end_answer(verdict::complete);
}

void session_state::answer_anthropic_models(const models& known) {
  std::vector<anthropic_model> seen;
  if (!known.anthropic) {
    for (const auto& each : *known.list) {
      if (may_see(each)) seen.push_back(make_anthropic_model(each));
    }
  } else if (key_->models.empty()) {
    seen = *known.anthropic;
  } else {
    std::unordered_set<std::string_view> of_aliases;
    for (const auto& each : *known.list) {
      if (!each.stands_for.empty() && may_see(each)) of_aliases.insert(each.id);
    }
    for (const auto& each : *known.anthropic) {
      if (allows_model(key_->models, each.id) || of_aliases.count(each.id) > 0) seen.push_back(each);
    }
  }
  if (route_.target == endpoint::models) {
    auto body = anthropic_list_body(seen, head_->target);
    if (auto* fault = std::get_if<page_fault>(&body)) {
      refuse({errc::bad_request, std::move(fault->message), {}, std::move(fault->param)});
      return;
    }
    answer_json(200, std::get<std::string>(body));
  } else {
    const auto at =
        std::find_if(seen.begin(), seen.end(), [&](const auto& each) { return each.id == route_.detail; });
    if (at == seen.end()) {
      refuse_model();
      return;
    }
    answer_json(200, at->json);
  }
  end_answer(verdict::complete);
}

void session_state::answer_models() {
  self_->request(context_->registry, caf::infinite, get_models{})
      .then(
          [this](const models& known) {
            if (asks_as_anthropic())
              answer_anthropic_models(known);
            else
              answer_openai_models(*known.list);
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

}  // namespace llm_proxy
