// How a request ended: one word, for the log.
#pragma once

#include "http/wire/errc.hpp"

#include <cstdint>
#include <string_view>

namespace llm_proxy {

enum class verdict : std::uint8_t {
  complete,                     ///< answered in full
  truncated,                    ///< the upstream broke off
  upstream_error,               ///< upstream answered with an error
  upstream_timeout,             ///< upstream said that it ran out of time
  upstream_timeout_connect,     ///< it took no connection within CONNECT_TIMEOUT
  upstream_timeout_first_byte,  ///< it did not answer within FIRST_BYTE_TIMEOUT
  upstream_timeout_idle,        ///< it fell silent for IDLE_TIMEOUT
  upstream_timeout_total,       ///< the request's time (REQUEST_TIMEOUT, x-request-timeout-ms) was over
  client_gone,                  ///< the client left first
  rejected_auth,                ///< no key, a wrong one, or one that may not
  rejected_limit,               ///< over a limit of its key
  rejected_overload,            ///< over a limit of the service or of its machine
  rejected_invalid,             ///< not a request that can be served
  drained,                      ///< cut by the shutdown
  internal,                     ///< our fault
};
std::string_view to_string(verdict how);

/// The deadline of ours that a request missed; none: it was not one of ours.
enum class missed : std::uint8_t { none, connect, first_byte, idle, total };

/// The verdict of a request that ended with `code`. Only upstream_timeout asks what was missed.
verdict verdict_of(errc code, missed deadline = missed::none);

}  // namespace llm_proxy
