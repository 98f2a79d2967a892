#include "actors/verdict.hpp"

#include <array>
#include <cstddef>

namespace llm_proxy {

namespace {

constexpr std::array<std::string_view, 11> verdict_names{
    "complete",         "truncated",     "upstream_error", "upstream_timeout",
    "client_gone",      "rejected_auth", "rejected_limit", "rejected_overload",
    "rejected_invalid", "drained",       "internal"};

}  // namespace

std::string_view to_string(verdict how) {
  return verdict_names[static_cast<std::size_t>(how)];
}

verdict verdict_of(errc code) {
  switch (code) {
    case errc::none:
      return verdict::complete;
    case errc::unauthorized:
    case errc::model_not_allowed:
      return verdict::rejected_auth;
    case errc::rate_limited:
      return verdict::rejected_limit;
    case errc::overloaded:
      return verdict::rejected_overload;
    case errc::drained:
      return verdict::drained;
    case errc::internal:
      return verdict::internal;
    case errc::upstream_timeout:
      return verdict::upstream_timeout;
    case errc::upstream_disconnected:
      return verdict::truncated;
    default:
      return describe(code).source == error_source::upstream ? verdict::upstream_error
                                                             : verdict::rejected_invalid;
  }
}

}  // namespace llm_proxy
