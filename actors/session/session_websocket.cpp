// A request that becomes a WebSocket. The request ends with the 101; each response over the WebSocket is a
// request with a session of its own (http/websocket/responses_socket.hpp).
#include "actors/session/session.hpp"
#include "http/request/cors.hpp"
#include "http/websocket/handshake.hpp"
#include "http/websocket/responses_socket.hpp"

#include <memory>
#include <utility>
#include <variant>

namespace llm_proxy {

namespace {

/// RFC 9110 §15.5.22 and RFC 6455 §4.4.
header_list upgrade_headers() {
  header_list headers;
  headers.add("upgrade", "websocket");
  headers.add("sec-websocket-version", "13");
  return headers;
}

}  // namespace

/// A browser sends its key among the subprotocols. It is moved to where keys are looked for before anything
/// else reads the head.
std::optional<failure> session_state::take_websocket_key() {
  if (!asks_for_websocket(head())) return std::nullopt;
  auto taken = take_key_from_subprotocols(head());
  if (auto* fault = std::get_if<failure>(&taken)) return std::move(*fault);
  if (auto changed = std::get<std::shared_ptr<const request_head>>(taken)) record_.head = std::move(changed);
  return std::nullopt;
}

void session_state::open_websocket() {
  const auto& options = context_->options;
  if (!options.websockets) {
    refuse({.code = errc::upgrade_required,
            .message = "WebSockets are off (LLM_PROXY__WEBSOCKETS): use POST.",
            .detail = "WEBSOCKETS"},
           upgrade_headers());
    return;
  }
  if (!asks_for_websocket(head())) {
    refuse({.code = errc::upgrade_required}, upgrade_headers());
    return;
  }
  if (const auto reason = check_group(*record_.key, is_operator_, route_.row->group)) {
    refuse(*reason);
    return;
  }
  if (const auto reason = check_upgrade(head())) {
    refuse(*reason, reason->code == errc::upgrade_required ? upgrade_headers() : header_list{});
    return;
  }
  if (!is_own_origin(head()) && !is_listed_origin(*head().headers.find("origin"), options.cors_origins)) {
    refuse({.code = errc::origin_not_allowed,
            .detail = "Origin " + std::string{*head().headers.find("origin")}});
    return;
  }
  if (context_->health->draining) {
    refuse({.code = errc::drained});
    return;
  }
  if (client_->backlog() > 0) {
    refuse({.code = errc::bad_request,
            .message = "A WebSocket cannot be asked for while earlier answers are unread."});
    return;
  }
  header_list headers;
  headers.add("x-request-id", record_.id);
  if (const auto protocol = selected_subprotocol(head()); !protocol.empty())
    headers.add("sec-websocket-protocol", protocol);
  record_.status = 101;
  client_->upgrade(std::make_shared<responses_socket>(
      record_.head, std::move(headers), context_->home->asio_context(), context_->home->timers(),
      responses_socket_options{{options.max_body_bytes, options.client_write_timeout},
                               options.websocket_memory,
                               options.websocket_lifetime}));
  end(verdict::complete, closing::none);
}

}  // namespace llm_proxy
