#include "http/wire/caller_headers.hpp"

#include "support/catch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace llm_proxy {

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

/// Returns the header lines that go upstream when the client sends the fields `sent`.
std::string lines(const upstream_caller& who, const fields& sent = {}) {
  caller_headers headers{who};
  std::string out;
  for (const auto& [name, value] : sent) {
    if (!headers.takes({name, value})) append_header(out, name, value);
  }
  headers.append_to(out);
  return out;
}

const fields about_spending{{"X-LiteLLM-End-User-Id", "victim"},
                            {"x-litellm-customer-id", "victim"},
                            {"x-litellm-tags", "free"},
                            {"x-litellm-spend-logs-metadata", "{}"}};

}  // namespace

TEST_CASE("caller headers: what a client says about who pays is replaced by its key's name",
          "[unit][caller]") {
  const upstream_caller user{caller_header::end_user, "team-a", "10.1.2.3"};
  CHECK(lines(user, about_spending) == "x-litellm-end-user-id: team-a\r\nx-forwarded-for: 10.1.2.3\r\n");
  const upstream_caller tag{caller_header::tag, "team-a", ""};
  CHECK(lines(tag, about_spending) == "x-litellm-tags: team-a\r\n");
  CHECK(lines(tag, {{"x-litellm-timeout", "3"}}) == "x-litellm-timeout: 3\r\nx-litellm-tags: team-a\r\n");
}

TEST_CASE("caller headers: INTERNAL_API_KEY may name end users, tags and metadata of its own",
          "[unit][caller]") {
  const upstream_caller user{caller_header::end_user, "default", "", true};
  CHECK(lines(user) == "x-litellm-end-user-id: default\r\n");
  for (const char* name : {"x-litellm-end-user-id", "X-LiteLLM-Customer-Id"}) {
    CHECK(lines(user, {{name, "alice"}, {"x-litellm-tags", "a"}}) ==
          std::string{name} + ": alice\r\nx-litellm-tags: a\r\n");
    // LiteLLM treats an empty value as missing.
    CHECK(lines(user, {{name, " "}}) == "x-litellm-end-user-id: default\r\n");
  }
  const upstream_caller tag{caller_header::tag, "default", "", true};
  CHECK(lines(tag) == "x-litellm-tags: default\r\n");
  // All tags are in one line, because LiteLLM would read only one of two.
  CHECK(lines(tag, {{"X-LiteLLM-Tags", "a, b"}, {"x-litellm-tags", ""}, {"x-litellm-tags", "c"}}) ==
        "x-litellm-tags: a, b,c,default\r\n");
  CHECK(lines(tag, {{"x-litellm-customer-id", "alice"}, {"x-litellm-spend-logs-metadata", "{}"}}) ==
        "x-litellm-customer-id: alice\r\nx-litellm-spend-logs-metadata: {}\r\nx-litellm-tags: default\r\n");
}

TEST_CASE("caller headers: a name from outside cannot become two tags or two lines", "[unit][caller]") {
  CHECK(caller_text("team-a_1.x@y/z:2") == "team-a_1.x@y/z:2");
  CHECK(caller_text("a,b\r\nx: y%\xc3\xbc") == "a%2Cb%0D%0Ax:%20y%25%C3%BC");
}

}  // namespace llm_proxy
