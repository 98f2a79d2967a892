// What the service answers by itself: its health, its models, routes of one's own.
#include "actors/session.hpp"
#include "config/log_safe.hpp"
#include "http/openai.hpp"

#include <algorithm>
#include <utility>

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

void session_state::answer_models() {
  const auto answer = [this](const models& known) {
    const auto& list = *known.list;
    if (route_.target == endpoint::llm_models) {
      answer_json(200, llm_models_body(list));
    } else if (route_.target == endpoint::models) {
      answer_json(200, models_list_body(list));
    } else {
      const auto& wanted = route_.detail;
      const auto at =
          std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.id == wanted; });
      if (at == list.end()) {
        refuse({errc::model_not_found, "The model '" + log_safe(wanted) + "' does not exist.", {}, "model"});
        return;
      }
      answer_json(200, model_body(*at));
    }
    end_answer(verdict::complete);
  };
  self_->request(context_->registry, caf::infinite, get_models{})
      .then(answer, [this](const caf::error& error) { refuse(to_failure(error)); });
}

}  // namespace llm_proxy
