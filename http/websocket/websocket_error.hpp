// Errors as messages of a WebSocket of OpenAI's Responses API.
#pragma once

#include "http/wire/errc.hpp"

#include <string>
#include <string_view>

namespace llm_proxy {

/// Returns `{"type":"error","status":…,"error":{…}}`, with `stream_id` and `headers` if there are any
/// (developers.openai.com, "WebSocket mode"). It always has a status: without one Codex ignores the error and
/// waits. `stream_id` is the lane's name. `headers` is a JSON object.
std::string websocket_error(std::string_view stream_id, const failure& reason);

/// The same for an answer with an error status. `body` is its body, in OpenAI's shape if it is JSON.
std::string websocket_error(std::string_view stream_id, unsigned status, std::string_view body,
                            std::string_view headers);

/// The same for an `error` event in a stream. Its data has no status of its own, so that of its code is used.
std::string websocket_error_of_event(std::string_view stream_id, std::string_view data);

/// Returns a message with the member `stream_id` put in front of its other members; unchanged on the default
/// lane, which has no name. `message` is a JSON object.
std::string on_lane(std::string_view stream_id, std::string_view message);

}  // namespace llm_proxy
