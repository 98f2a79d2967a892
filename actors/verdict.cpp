#include "actors/verdict.hpp"

#include <array>
#include <cstddef>

namespace llm_proxy {

namespace {

constexpr std::array<std::string_view, 10> verdict_names{
    "complete",      "truncated",      "upstream_error",   "upstream_timeout", "client_gone",
    "rejected_auth", "rejected_limit", "rejected_invalid", "drained",          "internal"};

}  // namespace

std::string_view to_string(verdict how) {
  return verdict_names[static_cast<std::size_t>(how)];
}

verdict verdict_of(errc code) {
  switch (code) {
    case errc::none:
      return verdict::complete;
    case errc::unauthorized:
      return verdict::rejected_auth;
    case errc::overloaded:
      return verdict::rejected_limit;
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
