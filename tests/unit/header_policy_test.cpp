#include "http/wire/header_policy.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace llm_proxy {

namespace {

std::string lower(std::string text) {
  for (auto& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

}  // namespace

TEST_CASE("header policy: the listed headers go upstream, in any letter case", "[unit][header_policy]") {
  for (const auto* name :
       {"accept", "Content-Type", "USER-AGENT", "traceparent", "tracestate", "openai-organization",
        "OpenAI-Project", "openai-beta", "anthropic-version", "anthropic-beta", "idempotency-key",
        "x-stainless-lang", "X-Stainless-Retry-Count", "x-litellm-tags", "x-litellm-timeout"}) {
    INFO(name);
    CHECK(goes_upstream(name, {}));
  }
}

TEST_CASE("header policy: credentials, addresses, framing and unknown headers do not go upstream",
          "[unit][header_policy]") {
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

TEST_CASE("header policy: the listed headers come back, but none that says anything about our key",
          "[unit][header_policy]") {
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

TEST_CASE("header policy: ranges, conditions and descriptions of content cross only on passed-through paths",
          "[unit][header_policy]") {
  using enum header_policy;
  for (const auto* name :
       {"range", "If-Range", "if-match", "If-None-Match", "if-modified-since", "if-unmodified-since"}) {
    INFO(name);
    CHECK(goes_upstream(name, {}, resource));
    CHECK_FALSE(goes_upstream(name, {}, model_call));
    CHECK_FALSE(comes_back(name, resource));
  }
  for (const auto* name : {"content-range", "Accept-Ranges", "content-disposition", "ETag", "last-modified",
                           "digest", "Repr-Digest", "content-digest", "link"}) {
    INFO(name);
    CHECK(comes_back(name, resource));
    CHECK_FALSE(comes_back(name, model_call));
    CHECK_FALSE(goes_upstream(name, {}, resource));
  }
}

TEST_CASE("header policy: cookies, credentials, permissions for browsers and connection headers never cross",
          "[unit][header_policy]") {
  for (const auto* name :
       {"set-cookie", "Cookie", "authorization", "Location", "access-control-allow-origin",
        "Access-Control-Expose-Headers", "connection", "keep-alive", "te", "trailer", "transfer-encoding",
        "upgrade", "proxy-authorization", "proxy-authenticate", "Proxy-Connection"}) {
    INFO(name);
    for (const auto policy : {header_policy::model_call, header_policy::resource}) {
      // They do not pass even if FORWARD_HEADERS names them.
      CHECK_FALSE(goes_upstream(name, {lower(name)}, policy));
      CHECK_FALSE(comes_back(name, policy));
      CHECK_FALSE(comes_back("llm_provider-" + std::string{name}, policy));
    }
  }
}

TEST_CASE("header policy: what a Connection field names is not forwarded", "[unit][header_policy]") {
  header_list from;
  from.add("content-type", "text/plain");
  from.add("x-ratelimit-a", "1");
  from.add("x-ratelimit-b", "2");
  from.add("etag", "\"e\"");
  CHECK_FALSE(has_connection_options(from));
  CHECK(client_headers(from, header_policy::resource).size() == 4);
  from.add("connection", "Keep-Alive, close");
  CHECK_FALSE(has_connection_options(from));
  from.add("Connection", "close,X-RateLimit-A ,, etag");
  CHECK(has_connection_options(from));
  CHECK(is_connection_option(from, "x-ratelimit-a"));
  CHECK(is_connection_option(from, "ETag"));
  CHECK_FALSE(is_connection_option(from, "x-ratelimit"));
  const auto kept = client_headers(from, header_policy::resource);
  CHECK(kept.size() == 2);
  CHECK(kept.find("content-type"));
  CHECK(kept.find("x-ratelimit-b"));
}

TEST_CASE("header policy: a Link that names upstream's host does not come back", "[unit][header_policy]") {
  const auto passes = [](const std::string& value, std::string_view host) {
    header_list from;
    from.add("etag", "1");
    from.add("Link", value);
    const auto kept = client_headers(from, header_policy::resource, host);
    CHECK(kept.find("etag"));
    return kept.find("link").has_value();
  };
  CHECK(passes("</v1/files?after=b>; rel=\"next\"", "litellm:4000"));
  CHECK(passes("<https://docs.example.com/litellm-files>; rel=help", "docs.example:4000"));
  CHECK(passes("<http://litellm:4000/v1/files>", ""));
  CHECK_FALSE(passes("<http://litellm:4000/v1/files?after=b>; rel=\"next\"", "litellm:4000"));
  CHECK_FALSE(passes("<https://LiteLLM/v1/files>; rel=next", "litellm:4000"));
  CHECK_FALSE(passes("<http://10.1.2.3/v1/files>", "10.1.2.3:4000"));
  CHECK_FALSE(passes("<http://[fd00::1]:4000/v1/files>", "fd00::1:4000"));
}

TEST_CASE("header policy: of several links only those that name upstream's host do not come back",
          "[unit][header_policy]") {
  /// Returns the values of the Link fields that come back, and checks that the other fields do.
  const auto kept = [](const std::vector<std::string>& values) {
    header_list from;
    from.add("etag", "1");
    for (const auto& value : values) from.add("Link", value);
    from.add("digest", "2");
    const auto all = client_headers(from, header_policy::resource, "litellm:4000");
    CHECK(all.find("etag"));
    CHECK(all.find("digest"));
    std::vector<std::string> links;
    for (const auto field : all) {
      if (field.name == "Link") links.emplace_back(field.value);
    }
    return links;
  };
  using texts = std::vector<std::string>;
  const std::string ours = "<http://litellm:4000/v1/files?after=b>; rel=\"next\"";
  const std::string other = "</v1/files?before=a>; rel=\"prev\"";
  const std::string help = "<https://docs.example.com/a,b>; rel=help; title=\"one, two \\\" three\"";
  CHECK(kept({ours, other, help}) == texts{other, help});
  CHECK(kept({other, ours, help}) == texts{other, help});
  CHECK(kept({other, help, ours, ours}) == texts{other, help});
  for (const auto* comma : {",", ", ", " ,\t", ", ,"}) {
    INFO('"' << comma << '"');
    CHECK(kept({ours + comma + other}) == texts{other});
    CHECK(kept({other + comma + ours}) == texts{other});
    CHECK(kept({help + comma + ours + comma + other}) == texts{help + ", " + other});
    CHECK(kept({ours + comma + ours}).empty());
    // A field without the host is not rewritten.
    CHECK(kept({other + comma + help, ours}) == texts{other + comma + help});
  }
  // The host may stand in a parameter too.
  CHECK(kept({"</a>; anchor=\"http://litellm/b,c\"; rel=x, " + other}) == texts{other});
  // If the value is malformed, no part of a link that names the host is left.
  for (const std::string broken :
       {"<http://litellm:4000/a, </b>", "</a>; title=\"x, <http://litellm/b>, </c>", "</a>; title=\"\\",
        "http://litellm:4000/a", "<http://x/?a=litellm,b>"}) {
    INFO(broken);
    for (const auto& value : kept({broken + "," + ours, ours + "," + broken}))
      CHECK(value.find("litellm") == std::string::npos);
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

TEST_CASE(
    "header policy: a * in an operator's name stands for any characters, but never matches a credential",
    "[unit][header_policy]") {
  const std::vector<std::string> some{"x-tenant-*", "*-trace", "x-*-mark", "auth*"};
  const auto goes = [&](std::string_view name) {
    return goes_upstream(name, some, header_policy::model_call);
  };
  for (const auto* name :
       {"x-tenant-", "X-Tenant-Name", "my-trace", "-trace", "x-a-b-mark", "x--mark", "authored"})
    CHECK(goes(name));
  for (const auto* name :
       {"x-tenant", "x-tenan-t", "my-traces", "x-mark", "y-a-mark", "authorization", "tenant"})
    CHECK_FALSE(goes(name));
}

}  // namespace llm_proxy
