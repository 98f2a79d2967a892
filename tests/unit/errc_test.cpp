#include "http/wire/errc.hpp"

#include "http/answer/error_shape.hpp"
#include "http/answer/errors_table.hpp"
#include "http/json/json_scanner.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <set>
#include <string>

namespace llm_proxy {

namespace {

constexpr auto last = static_cast<std::size_t>(errc::internal);

}  // namespace

TEST_CASE("errc: every code has a row of its own that can be told to a client", "[unit][errc]") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i <= last; ++i) {
    const auto code = static_cast<errc>(i);
    const auto& row = describe(code);
    INFO(row.name);
    CHECK(row.code == code);
    CHECK_FALSE(row.name.empty());
    CHECK(names.insert(row.name).second);
    if (code == errc::none) continue;
    CHECK(row.status >= 400);
    CHECK(row.status < 600);
    CHECK_FALSE(row.type.empty());
    CHECK_FALSE(row.message.empty());
    // A client's fault is a 4xx, or one of the two that HTTP counts as server errors: 501 and 505.
    const bool client_fault = row.status < 500 || row.status == 501 || row.status == 505;
    CHECK((row.source == error_source::downstream) == client_fault);
    // A 503 is our fault, except the one that says that every upstream is down.
    const bool upstream_fault = row.status == 502 || row.status == 504 || code == errc::upstreams_down;
    CHECK(upstream_fault == (row.source == error_source::upstream));
    if (row.retryable) CHECK((row.status == 408 || row.status == 429 || row.status >= 500));
    const auto body = error_body(dialect::chat, failure{.code = code, .detail = "detail for the log"});
    CHECK(is_json_object(body));
    CHECK(body.find(R"("code":")" + std::string{row.name} + '"') != std::string::npos);
    CHECK(body.find("detail for the log") == std::string::npos);
  }
}

TEST_CASE("errc: the table of the errors has a row for each code", "[unit][errc]") {
  const auto table = readme_errors_table();
  for (std::size_t i = 1; i <= last; ++i) {
    const auto& row = describe(static_cast<errc>(i));
    const auto begin = "\n| " + std::to_string(row.status) + " | `" + std::string{row.name} + "` | ";
    CHECK(table.find(begin) != std::string::npos);
  }
  CHECK(table.find("| 503 | `upstreams_down` | litellm | yes | No model gateway") != std::string::npos);
  CHECK(table.find("| 401 | `unauthorized` | client | no | ") <
        table.find("| 500 | `internal` | proxy | yes | "));
}

TEST_CASE("errc: an unknown code is an internal error", "[unit][errc]") {
  CHECK(describe(static_cast<errc>(last + 1)).code == errc::internal);
}

TEST_CASE("errc: the client gets a failure's own message and param, but not its detail", "[unit][errc]") {
  CHECK(error_body(dialect::chat, failure{.code = errc::invalid_shape,
                                          .message = "no \"role\"",
                                          .detail = "10.0.0.1",
                                          .param = "messages[0].role"}) ==
        R"({"error":{"message":"no \"role\"","type":"invalid_request_error","param":"messages[0].role",)"
        R"("code":"invalid_request"}})");
}

}  // namespace llm_proxy
