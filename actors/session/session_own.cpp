// What the service answers itself and at once: preflights, health, models, pages, and the routes that a fork
// adds.
#include "actors/models/model_lists.hpp"
#include "actors/session/session.hpp"
#include "http/json/json_text.hpp"
#include "http/request/cors.hpp"
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

/// A preflight comes without the key, so it is not asked for one. It is never passed on: upstream's
/// permission would let in pages that the operator has not listed.
void session_state::answer_preflight() {
  static constexpr ::llm_proxy::route row{.method = "OPTIONS", .path = "preflight"};
  enter_phase(phase::routing);
  record_.row = &row;
  const auto& options = context_->options;
  const auto origin = head().headers.find("origin").value_or("");
  if (!is_listed_origin(origin, options.cors_origins)) {
    refuse({.code = errc::origin_not_allowed, .detail = "Origin " + std::string{origin}});
  } else if (const auto reason = check_host(head(), options.local_host)) {
    refuse(*reason);
  } else {
    reply_.send(204, {}, allow_preflight(head()));
    end(verdict::complete, closing::whole);
  }
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
  reply_.add_own_headers(answer.head.headers);
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
