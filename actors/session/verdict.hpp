// How a request ended, in one word, for the log, the metrics and the trace.
#pragma once

#include "http/wire/errc.hpp"

#include <cstdint>
#include <string_view>

namespace llm_proxy {

enum class verdict : std::uint8_t {
  complete,                     ///< answered in full
  truncated,                    ///< upstream broke off
  upstream_error,               ///< upstream answered with an error
  upstream_timeout,             ///< upstream said that it ran out of time
  upstream_timeout_connect,     ///< upstream accepted no connection within CONNECT_TIMEOUT
  upstream_timeout_first_byte,  ///< upstream did not answer within FIRST_BYTE_TIMEOUT
  upstream_timeout_idle,        ///< upstream was silent for IDLE_TIMEOUT
  upstream_timeout_total,       ///< the request's time (REQUEST_TIMEOUT, x-request-timeout-ms) was over
  client_gone,                  ///< the client left first
  rejected_auth,                ///< no key, a wrong key, or one that is not allowed to do this
  rejected_limit,               ///< over a limit of its key
  rejected_overload,            ///< over a limit of the service or of its machine
  rejected_invalid,             ///< not a request that can be served
  drained,                      ///< ended early by the shutdown
  internal,                     ///< our fault
};
std::string_view to_string(verdict how);

/// The deadline of our own that a request missed; `none` if it missed none.
enum class missed : std::uint8_t { none, connect, first_byte, idle, total };

/// Returns the verdict of a request that ended with `code`. `deadline` matters only for upstream_timeout.
verdict verdict_of(errc code, missed deadline = missed::none);

}  // namespace llm_proxy
