#include "actors/session/verdict.hpp"

#include "support/catch.hpp"

#include <string_view>

namespace llm_proxy::test {

TEST_CASE("verdict: the word for a timeout says which deadline was missed", "[unit][verdict]") {
  struct row {
    errc code;
    missed deadline;
    std::string_view word;
  };
  for (const auto& [code, deadline, word] : {
           row{errc::upstream_timeout, missed::none, "upstream_timeout"},
           row{errc::upstream_timeout, missed::connect, "upstream_timeout_connect"},
           row{errc::upstream_timeout, missed::first_byte, "upstream_timeout_first_byte"},
           row{errc::upstream_timeout, missed::idle, "upstream_timeout_idle"},
           row{errc::upstream_timeout, missed::total, "upstream_timeout_total"},
           row{errc::request_timeout, missed::total, "rejected_invalid"},
           row{errc::none, missed::none, "complete"},
           row{errc::upstream_disconnected, missed::none, "truncated"},
           row{errc::upstream_unreachable, missed::none, "upstream_error"},
           row{errc::upstreams_down, missed::none, "upstream_error"},
           row{errc::upstream_invalid_response, missed::none, "upstream_error"},
           row{errc::upstream_auth, missed::none, "upstream_error"},
           row{errc::upstream_error, missed::none, "upstream_error"},
           row{errc::unauthorized, missed::none, "rejected_auth"},
           row{errc::model_not_allowed, missed::none, "rejected_auth"},
           row{errc::route_not_allowed, missed::none, "rejected_auth"},
           row{errc::internal_key_required, missed::none, "rejected_auth"},
           row{errc::host_not_allowed, missed::none, "rejected_auth"},
           row{errc::rate_limited, missed::none, "rejected_limit"},
           row{errc::overloaded, missed::none, "rejected_overload"},
           row{errc::bad_request, missed::none, "rejected_invalid"},
           row{errc::uri_too_long, missed::none, "rejected_invalid"},
           row{errc::head_too_large, missed::none, "rejected_invalid"},
           row{errc::method_not_implemented, missed::none, "rejected_invalid"},
           row{errc::version_not_supported, missed::none, "rejected_invalid"},
           row{errc::expectation_failed, missed::none, "rejected_invalid"},
           row{errc::request_timeout, missed::none, "rejected_invalid"},
           row{errc::origin_not_allowed, missed::none, "rejected_invalid"},
           row{errc::not_found, missed::none, "rejected_invalid"},
           row{errc::model_not_found, missed::none, "rejected_invalid"},
           row{errc::method_not_allowed, missed::none, "rejected_invalid"},
           row{errc::body_too_large, missed::none, "rejected_invalid"},
           row{errc::unsupported_media_type, missed::none, "rejected_invalid"},
           row{errc::unsupported_encoding, missed::none, "rejected_invalid"},
           row{errc::invalid_json, missed::none, "rejected_invalid"},
           row{errc::invalid_shape, missed::none, "rejected_invalid"},
           row{errc::drained, missed::none, "drained"},
           row{errc::internal, missed::none, "internal"},
       }) {
    INFO(word);
    CHECK(to_string(verdict_of(code, deadline)) == word);
  }
}

}  // namespace llm_proxy::test
