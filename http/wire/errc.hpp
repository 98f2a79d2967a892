// Every way in which a request can fail. Each has a row that says what the client is told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llm_proxy {

enum class errc : std::uint8_t {
  none,                                ///< no error
  bad_request,                         ///< the request line, a header or the body's framing is not HTTP/1.1
  uri_too_long,                        ///< request line over 8 KiB
  head_too_large,                      ///< request head over 32 KiB
  method_not_implemented,              ///< a method HTTP does not know
  version_not_supported,               ///< neither HTTP/1.0 nor HTTP/1.1
  expectation_failed,                  ///< an Expect other than 100-continue
  request_timeout,                     ///< head or body did not arrive in time
  unauthorized,                        ///< no key, or a wrong one
  model_not_allowed,                   ///< the key's list does not have the model
  route_not_allowed,                   ///< the key's `routes` do not have the route's group
  internal_key_required,               ///< data of all keys, asked for with a key of the keys file
  host_not_allowed,                    ///< not addressed to this machine, while the default key is in use
  origin_not_allowed,                  ///< of a page whose origin is not in LLM_PROXY__CORS_ORIGINS
  not_found,                           ///< no such path
  model_not_found,                     ///< GET /v1/models/{id} of an id that no list has
  method_not_allowed,                  ///< the path exists, the method does not
  upgrade_required,                    ///< a path for WebSockets, asked for otherwise or while they are off
  body_too_large,                      ///< body over LLM_PROXY__MAX_BODY_BYTES
  unsupported_media_type,              ///< content type is not JSON
  unsupported_encoding,                ///< a content-encoding on the request
  invalid_json,                        ///< body is not one JSON value in UTF-8
  invalid_shape,                       ///< JSON, but not a request that its endpoint takes
  unknown_message,                     ///< a message over a WebSocket that is of no known type
  invalid_stream_id,                   ///< a stream_id that is no name of a lane
  previous_response_not_found,         ///< a response to continue that neither we nor upstream know
  websocket_stream_limit_reached,      ///< too many names of lanes on one WebSocket
  websocket_connection_limit_reached,  ///< LLM_PROXY__WEBSOCKET_LIFETIME is over
  websocket_queue_full,                ///< too many messages wait on one WebSocket
  rate_limited,                        ///< a limit of the key is reached
  overloaded,                          ///< a limit of the service that the operator set is reached
  drained,                             ///< the service is shutting down
  out_of_resources,                    ///< no descriptor, port or memory is left for a connection to upstream
  upstream_auth,                       ///< upstream refused *our* key
  upstream_unreachable,                ///< no upstream address took the connection
  upstreams_down,                      ///< none of several upstreams took the connection
  upstream_timeout,                    ///< upstream did not answer, or went silent
  upstream_invalid_response,           ///< upstream's answer is empty, not HTTP or not what was asked for
  upstream_disconnected,               ///< upstream closed the connection before its answer was whole
  upstream_error,                      ///< upstream failed and said nothing usable
  internal,                            ///< a fault of ours
};

/// Whose fault it is: what an operator looks at first.
enum class error_source : std::uint8_t { downstream, upstream, internal };

struct error_row {
  errc code;
  unsigned status;        ///< HTTP status, when nothing was sent yet
  std::string_view type;  ///< OpenAI's error.type
  std::string_view name;  ///< OpenAI's error.code; also the word in the log
  error_source source;
  bool retryable;            ///< the same request may succeed a moment later
  std::string_view message;  ///< what the client reads when nothing more precise is known
};

/// The row of `code`. Every errc has one (a test walks them all).
const error_row& describe(errc code);

/// A failure as it travels between actors: the code, what the client reads, and what only the log says.
struct failure {
  errc code = errc::internal;
  std::string message = {};  ///< for the client; if empty, that of the row
  std::string detail = {};   ///< for the log only: addresses, system errors
  std::string param = {};    ///< OpenAI's error.param; null if empty
};

}  // namespace llm_proxy
