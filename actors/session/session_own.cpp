// Endpoints that the service answers itself and at once: health, models, pages, and the routes that a fork
// adds.
#include "actors/models/model_lists.hpp"
#include "actors/session/session.hpp"
#include "http/json/json_text.hpp"
#include "http/web/web_pages.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace llm_proxy {

void session_state::answer_health(unsigned status, std::string_view state) {
  reply_.send_json(status, R"({"status":")" + std::string{state} + R"(","service":"llm-proxy","version":)" +
                               json_quoted(context_->options.version) + "}");
  end(verdict::complete, closing::whole);
}

void session_state::answer_models() {
  self_->request(context_->registry, caf::infinite, get_models{})
      .then(
          [this](const models& known) {
            auto body = model_list_body(known, {.target = route_.target,
                                                .detail = route_.detail,
                                                .head = head(),
                                                .allowed = record_.key->models});
            if (const auto* reason = std::get_if<failure>(&body)) {
              refuse(*reason);
            } else {
              reply_.send_json(200, std::get<std::string>(body));
              end(verdict::complete, closing::whole);
            }
          },
          [this](const caf::error& error) { refuse(to_failure(error)); });
}

void session_state::answer_page() {
  auto answer = ::llm_proxy::answer_page(head());
  if (answer.head.status == 404) {
    refuse({.code = errc::not_found});
    return;
  }
  record_.status = answer.head.status;
  answer.head.headers.add("x-request-id", record_.id);
  client_->start_answer(answer.head, body_framing::content_length, answer.length, false);
  client_->write_constant(answer.body);
  end(verdict::complete, closing::whole);
}

void session_state::answer_own() {
  auto answer = route_.row->answer(head(), *record_.key);
  reply_.send(answer.head.status, answer.body, std::move(answer.head.headers));
  end(verdict::complete, closing::whole);
}

}  // namespace llm_proxy
