#include "actors/verdict.hpp"

#include "support/catch.hpp"

#include <string_view>

namespace llm_proxy::test {

TEST_CASE("verdict: a timeout's word tells what was missed", "[unit][verdict]") {
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
           row{errc::drained, missed::none, "drained"},
           row{errc::internal, missed::none, "internal"},
       }) {
    INFO(word);
    CHECK(to_string(verdict_of(code, deadline)) == word);
  }
}

}  // namespace llm_proxy::test
