// How a request ended: one word, for the log.
#pragma once

#include "http/errc.hpp"

#include <cstdint>
#include <string_view>

namespace llm_proxy {

enum class verdict : std::uint8_t {
  complete,           ///< answered in full
  truncated,          ///< the upstream broke off
  upstream_error,     ///< upstream answered with an error
  upstream_timeout,   ///< upstream did not answer in time
  client_gone,        ///< the client left first
  rejected_auth,      ///< no key, a wrong one, or one that may not
  rejected_limit,     ///< over a limit of its key
  rejected_overload,  ///< over a limit of the service
  rejected_invalid,   ///< not a request that can be served
  drained,            ///< cut by the shutdown
  internal,           ///< our fault
};
std::string_view to_string(verdict how);

/// The verdict of a request that was refused with `code`.
verdict verdict_of(errc code);

}  // namespace llm_proxy
