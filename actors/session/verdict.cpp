#include "actors/session/verdict.hpp"

#include <array>
#include <cstddef>

namespace llm_proxy {

namespace {

constexpr std::array<std::string_view, 15> verdict_names{"complete",
                                                         "truncated",
                                                         "upstream_error",
                                                         "upstream_timeout",
                                                         "upstream_timeout_connect",
                                                         "upstream_timeout_first_byte",
                                                         "upstream_timeout_idle",
                                                         "upstream_timeout_total",
                                                         "client_gone",
                                                         "rejected_auth",
                                                         "rejected_limit",
                                                         "rejected_overload",
                                                         "rejected_invalid",
                                                         "drained",
                                                         "internal"};

verdict verdict_of(missed deadline) {
  switch (deadline) {
    case missed::none:
      return verdict::upstream_timeout;
    case missed::connect:
      return verdict::upstream_timeout_connect;
    case missed::first_byte:
      return verdict::upstream_timeout_first_byte;
    case missed::idle:
      return verdict::upstream_timeout_idle;
    case missed::total:
      return verdict::upstream_timeout_total;
  }
  return verdict::upstream_timeout;
}

}  // namespace

std::string_view to_string(verdict how) {
  return verdict_names[static_cast<std::size_t>(how)];
}

verdict verdict_of(errc code, missed deadline) {
  switch (code) {
    case errc::none:
      return verdict::complete;
    case errc::unauthorized:
    case errc::model_not_allowed:
    case errc::route_not_allowed:
    case errc::internal_key_required:
    case errc::host_not_allowed:
      return verdict::rejected_auth;
    case errc::rate_limited:
      return verdict::rejected_limit;
    case errc::overloaded:
    case errc::out_of_resources:
      return verdict::rejected_overload;
    case errc::drained:
      return verdict::drained;
    case errc::internal:
      return verdict::internal;
    case errc::upstream_timeout:
      return verdict_of(deadline);
    case errc::upstream_disconnected:
      return verdict::truncated;
    default:
      return describe(code).source == error_source::upstream ? verdict::upstream_error
                                                             : verdict::rejected_invalid;
  }
}

}  // namespace llm_proxy
