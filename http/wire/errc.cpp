#include "http/wire/errc.hpp"

#include <array>

namespace llm_proxy {

namespace {

constexpr std::string_view invalid = "invalid_request_error";
constexpr std::string_view upstream = "upstream_error";
constexpr auto client_side = error_source::downstream;
constexpr auto model_side = error_source::upstream;
constexpr auto own = error_source::internal;

// clang-format off
constexpr std::array rows{
    error_row{errc::none, 200, "", "none", own, false, ""},
    error_row{errc::bad_request, 400, invalid, "bad_request", client_side, false, "The request is not valid HTTP/1.1."},
    error_row{errc::uri_too_long, 414, invalid, "uri_too_long", client_side, false, "The request line is longer than 8 KiB."},
    error_row{errc::head_too_large, 431, invalid, "request_header_fields_too_large", client_side, false, "The request head is larger than 32 KiB."},
    error_row{errc::method_not_implemented, 501, invalid, "method_not_implemented", client_side, false, "This method does not exist in HTTP."},
    error_row{errc::version_not_supported, 505, invalid, "http_version_not_supported", client_side, false, "This service speaks HTTP/1.1 and HTTP/1.0 only."},
    error_row{errc::expectation_failed, 417, invalid, "expectation_failed", client_side, false, "Of 'Expect' only '100-continue' is supported."},
    error_row{errc::request_timeout, 408, invalid, "request_timeout", client_side, true, "The request did not arrive in time."},
    error_row{errc::unauthorized, 401, "authentication_error", "unauthorized", client_side, false, "Missing or wrong internal key: send it as 'x-internal-auth', 'Authorization: Bearer' or 'x-api-key'."},
    error_row{errc::model_not_allowed, 403, "permission_error", "model_not_allowed", client_side, false, "This key may not use that model."},
    error_row{errc::route_not_allowed, 403, "permission_error", "route_not_allowed", client_side, false, "This key may not use this route: its entry in the keys file does not have the route's group in the field routes."},
    error_row{errc::internal_key_required, 403, "permission_error", "internal_key_required", client_side, false, "Only INTERNAL_API_KEY may ask for this, because it shows the data of every key."},
    error_row{errc::host_not_allowed, 403, "permission_error", "host_not_allowed", client_side, false, "While INTERNAL_API_KEY is the default that everybody knows, requests are answered only if they are addressed to localhost or a loopback address, and come from no other page: set a key of your own."},
    error_row{errc::origin_not_allowed, 403, "permission_error", "origin_not_allowed", client_side, false, "Pages of another origin may use this service only if LLM_PROXY__CORS_ORIGINS lists that origin."},
    error_row{errc::not_found, 404, invalid, "not_found", client_side, false, "This path does not exist."},
    error_row{errc::model_not_found, 404, invalid, "model_not_found", client_side, false, "This model does not exist."},
    error_row{errc::method_not_allowed, 405, invalid, "method_not_allowed", client_side, false, "This path does not accept that method."},
    error_row{errc::upgrade_required, 426, invalid, "upgrade_required", client_side, false, "This path is for WebSockets: ask for one, or use POST."},
    error_row{errc::body_too_large, 413, invalid, "body_too_large", client_side, false, "The body is larger than this service accepts."},
    error_row{errc::unsupported_media_type, 415, invalid, "unsupported_media_type", client_side, false, "The body must be sent as content-type application/json."},
    error_row{errc::unsupported_encoding, 415, invalid, "unsupported_content_encoding", client_side, false, "A compressed request body is not supported: send it without content-encoding."},
    error_row{errc::invalid_json, 400, invalid, "invalid_json", client_side, false, "The body is not valid JSON."},
    error_row{errc::invalid_shape, 422, invalid, "invalid_request", client_side, false, "The body is not a request that this endpoint accepts."},
    error_row{errc::unknown_message, 400, invalid, "unknown_message", client_side, false, "The type of this message is not known."},
    error_row{errc::invalid_stream_id, 400, invalid, "invalid_stream_id", client_side, false, "A stream_id has 1 to 256 letters, digits, '_', '-' or '.'."},
    error_row{errc::previous_response_not_found, 400, invalid, "previous_response_not_found", client_side, false, "The response to continue is not known on this connection and was not stored."},
    error_row{errc::websocket_stream_limit_reached, 400, invalid, "websocket_stream_limit_reached", client_side, false, "A connection may use 32 names of streams."},
    error_row{errc::websocket_connection_limit_reached, 400, invalid, "websocket_connection_limit_reached", client_side, false, "The lifetime of this connection is over: open another one."},
    error_row{errc::websocket_queue_full, 429, "rate_limit_error", "websocket_queue_full", client_side, true, "Too many responses wait on this connection."},
    error_row{errc::rate_limited, 429, "rate_limit_error", "rate_limit_exceeded", client_side, true, "This key is at its limit."},
    error_row{errc::overloaded, 503, "server_error", "overloaded", own, true, "The service is at its limit of concurrent requests."},
    error_row{errc::drained, 503, "server_error", "drained", own, true, "The service is shutting down."},
    error_row{errc::out_of_resources, 503, "server_error", "out_of_resources", own, true, "The service has no descriptor, port or memory left for a connection to the model gateway."},
    error_row{errc::upstream_auth, 502, upstream, "upstream_auth", model_side, false, "The model gateway refused this service's own key."},
    error_row{errc::upstream_unreachable, 502, upstream, "upstream_unreachable", model_side, true, "The model gateway cannot be reached."},
    error_row{errc::upstreams_down, 503, upstream, "upstreams_down", model_side, true, "No model gateway can be reached at the moment."},
    error_row{errc::upstream_timeout, 504, upstream, "upstream_timeout", model_side, true, "The model gateway did not answer in time."},
    error_row{errc::upstream_invalid_response, 502, upstream, "upstream_invalid_response", model_side, true, "The model gateway sent an answer that cannot be used."},
    error_row{errc::upstream_disconnected, 502, upstream, "upstream_disconnected", model_side, true, "The model gateway ended its answer before it was whole."},
    error_row{errc::upstream_error, 502, upstream, "upstream_error", model_side, true, "The model gateway failed."},
    error_row{errc::internal, 500, "server_error", "internal", own, true, "An internal error happened; the log has it under this request's id."},
};
// clang-format on

}  // namespace

const error_row& describe(errc code) {
  for (const auto& row : rows) {
    if (row.code == code) return row;
  }
  return rows.back();
}

}  // namespace llm_proxy
