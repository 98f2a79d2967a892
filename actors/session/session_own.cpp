// What the service answers by itself: its health, its models, routes of one's own.
#include "actors/models/model_lists.hpp"
#include "actors/session/session.hpp"
#include "http/json/json_text.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

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
  self_->request(context_->registry, caf::infinite, get_models{})
      .then(
          [this](const models& known) {
            auto body = model_list_body(
                known,
                {.target = route_.target, .detail = route_.detail, .head = *head_, .allowed = key_->models});
            if (auto* reason = std::get_if<failure>(&body)) {
              refuse(std::move(*reason));
            } else {
              answer_json(200, std::get<std::string>(std::move(body)));
              end_answer(verdict::complete);
            }
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

}  // namespace llm_proxy
