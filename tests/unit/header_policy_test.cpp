#include "http/header_policy.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

TEST_CASE("header policy: what goes upstream is named, in any letter case", "[unit][header_policy]") {
  for (const auto* name :
       {"accept", "Content-Type", "USER-AGENT", "traceparent", "tracestate", "openai-organization",
        "OpenAI-Project", "openai-beta", "anthropic-version", "anthropic-beta", "idempotency-key",
        "x-stainless-lang", "X-Stainless-Retry-Count", "x-litellm-tags", "x-litellm-timeout"}) {
    INFO(name);
    CHECK(goes_upstream(name, {}));
  }
}

TEST_CASE("header policy: credentials, addresses and framing stay", "[unit][header_policy]") {
  for (const auto* name :
       {"authorization", "x-internal-auth", "x-api-key", "api-key", "cookie", "proxy-authorization",
        "x-litellm-api-key", "x-forwarded-for", "forwarded", "host", "connection", "content-length",
        "transfer-encoding", "content-encoding", "te", "upgrade", "expect", "x-unknown", ""}) {
    INFO(name);
    CHECK_FALSE(goes_upstream(name, {}));
  }
}

TEST_CASE("header policy: the operator adds names", "[unit][header_policy]") {
  const std::vector<std::string> extra{"x-tenant"};
  CHECK(goes_upstream("X-Tenant", extra));
  CHECK_FALSE(goes_upstream("x-tenant-2", extra));
}

TEST_CASE("header policy: what comes back is named, and tells nothing of our key", "[unit][header_policy]") {
  for (const auto* name :
       {"content-type", "Content-Encoding", "retry-after", "retry-after-ms", "x-should-retry",
        "x-ratelimit-remaining-requests", "anthropic-ratelimit-tokens-reset", "openai-version", "request-id",
        "x-litellm-call-id", "LLM_Provider-X", "Server-Timing"}) {
    INFO(name);
    CHECK(comes_back(name));
  }
  for (const auto* name : {"set-cookie", "x-litellm-key-spend", "X-LiteLLM-Model-Api-Base",
                           "llm_provider-set-cookie", "server", "date", "content-length", "transfer-encoding",
                           "connection", "location", "via", "www-authenticate", "x-request-id"}) {
    INFO(name);
    CHECK_FALSE(comes_back(name));
  }
}

TEST_CASE("header policy: kept headers keep order, spelling and doubles", "[unit][header_policy]") {
  header_list from;
  from.add("Openai-Version", "1");
  from.add("set-cookie", "secret");
  from.add("x-ratelimit-a", "2");
  from.add("x-ratelimit-a", "3");
  const auto kept = client_headers(from);
  std::string all;
  for (const auto field : kept) all += std::string{field.name} + "=" + std::string{field.value} + ";";
  CHECK(all == "Openai-Version=1;x-ratelimit-a=2;x-ratelimit-a=3;");
}

}  // namespace llm_proxy
