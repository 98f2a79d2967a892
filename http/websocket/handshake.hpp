// Decides whether a request may become a WebSocket (RFC 6455 §4.2.1).
//
// A browser cannot set headers of a WebSocket's request. OpenAI's clients in browsers therefore send the key
// as a subprotocol: `Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.KEY`.
#pragma once

#include "http/wire/errc.hpp"
#include "http/wire/message.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace llm_proxy {

/// Whether a request asks for a WebSocket, whatever else is wrong with it: it is a GET with `upgrade:
/// websocket`.
bool asks_for_websocket(const request_head& head);

/// Returns why a request that asks for a WebSocket cannot get one; nullopt if it can. A 426 is returned with
/// the header `sec-websocket-version` (§4.4).
std::optional<failure> check_upgrade(const request_head& head);

/// Moves a key from the subprotocols of a request for a WebSocket to `authorization`; another header that has
/// a key is preferred. Returns the changed head, null if no subprotocol is a key, or the failure of a request
/// that offers no subprotocol beside the key: the service has to select one (RFC 6455 §4.2.2), and that must
/// not be the key.
std::variant<std::shared_ptr<const request_head>, failure> take_key_from_subprotocols(
    const request_head& head);

/// Returns the subprotocol that the service selects: the first that the client offers; empty if it offers
/// none. The key must have been taken before.
std::string_view selected_subprotocol(const request_head& head);

/// Whether a page of this origin may open a WebSocket: browsers send `origin`, and send no preflight. It may
/// if the origin is the request's own host, or if there is none because the client is no browser.
bool is_own_origin(const request_head& head);

/// Returns the head of the requests that a WebSocket's messages stand for: `POST path` with those headers of
/// the WebSocket's own request that concern the client and not the connection.
request_head inner_request(const request_head& upgrade, std::string_view path);

}  // namespace llm_proxy
