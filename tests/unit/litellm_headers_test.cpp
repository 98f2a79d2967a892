// Every request header that LiteLLM 1.103.2 reads, and what llm-proxy does with it when a client sends it.
#include "http/wire/header_policy.hpp"
#include "http/wire/never_forwarded.hpp"
#include "http/wire/session_headers.hpp"
#include "support/catch.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

namespace {

/// What llm-proxy does with a client's header.
enum class fate {
  forwarded,  ///< goes to LiteLLM
  by_value,   ///< goes if its value looks like a session's id
  in_part,    ///< only the session in it goes
  resource,   ///< goes only on passed-through paths
  asked_for,  ///< goes only if FORWARD_HEADERS names it
  never,      ///< does not go even if FORWARD_HEADERS names it
  ours,       ///< llm-proxy writes its own, and the client's is never forwarded
};

struct litellm_header {
  std::string_view name;
  fate what;
  std::string_view reader;  ///< where LiteLLM reads it, and what for
};

constexpr auto all_headers = std::to_array<litellm_header>({
    // Sessions and traces.
    {"x-litellm-trace-id", fate::forwarded, "litellm_pre_call_utils: session"},
    {"x-litellm-session-id", fate::forwarded, "litellm_pre_call_utils: session"},
    {"x-claude-code-session-id", fate::forwarded,
     "litellm_pre_call_utils: session; router: one model per session"},
    {"x-claude-code-agent-id", fate::forwarded, "router: a session's sub-agents"},
    {"x-parent-session-id", fate::by_value, "litellm_pre_call_utils: session (x-<vendor>-session-id)"},
    {"x-session-id", fate::forwarded, "litellm_pre_call_utils: session (opencode)"},
    {"session-id", fate::forwarded, "litellm_pre_call_utils: session (Codex)"},
    {"session_id", fate::forwarded, "litellm_pre_call_utils: session (older Codex)"},
    {"thread-id", fate::forwarded, "litellm_pre_call_utils: session (Codex)"},
    {"conversation_id", fate::forwarded, "litellm_pre_call_utils: session (older Codex)"},
    {"baggage", fate::in_part, "litellm_pre_call_utils: session.id"},
    {"traceparent", fate::forwarded, "litellm_pre_call_utils, otel: trace"},
    {"tracestate", fate::forwarded, "otel: trace"},
    {"x-litellm-agent-id", fate::forwarded, "litellm_pre_call_utils: agent"},
    {"x-litellm-call-id", fate::forwarded, "common_request_processing: id of the call"},
    {"x-request-id", fate::ours, "anthropic_endpoints: id of the request"},
    // What the request asks for.
    {"content-type", fate::forwarded, "http_parsing_utils"},
    {"user-agent", fate::forwarded, "litellm_pre_call_utils: which agent it is, a tag"},
    {"anthropic-version", fate::forwarded, "proxy_server: shape of the model list"},
    {"anthropic-beta", fate::forwarded, "litellm_pre_call_utils: goes to the provider"},
    {"openai-organization", fate::forwarded, "litellm_pre_call_utils"},
    {"openai-beta", fate::forwarded, "llm_passthrough_endpoints"},
    {"x-litellm-timeout", fate::forwarded, "litellm_pre_call_utils"},
    {"x-litellm-stream-timeout", fate::forwarded, "litellm_pre_call_utils"},
    {"x-litellm-num-retries", fate::forwarded, "litellm_pre_call_utils"},
    {"x-litellm-keepalive-seconds", fate::never, "litellm_pre_call_utils: an early 200 for what fails later"},
    {"x-litellm-min-quality-tier", fate::asked_for, "adaptive_router"},
    {"x-litellm-enable-message-redaction", fate::forwarded, "redact_messages"},
    {"litellm-enable-message-redaction", fate::asked_for, "redact_messages: the older name"},
    {"litellm-disable-message-redaction", fate::never, "redact_messages: shows what the operator hides"},
    {"custom-llm-provider", fate::asked_for, "openai_endpoint_utils: files and batches"},
    {"x-app", fate::asked_for, "router: whether Claude Code is the terminal's"},
    {"x-gateway-client", fate::asked_for, "model_listing_utils: ids made for Claude Code"},
    {"x-headroom-bypass", fate::asked_for, "guardrail headroom"},
    {"x-compresr-bypass", fate::asked_for, "guardrail compresr"},
    {"x-noma-application-id", fate::asked_for, "guardrail noma"},
    {"x-pass-anthropic-beta", fate::asked_for, "passthrough: x-pass-<name> goes to the provider as <name>"},
    {"x-amz-target", fate::asked_for, "llm_passthrough_endpoints: AWS"},
    {"if-none-match", fate::resource, "gateway_endpoints"},
    // Who pays.
    {"x-litellm-end-user-id", fate::forwarded, "auth_utils: end user"},
    {"x-litellm-customer-id", fate::forwarded, "auth_utils: end user"},
    {"x-litellm-tags", fate::forwarded, "litellm_pre_call_utils: tags"},
    {"tags", fate::asked_for, "pass_through_endpoints: tags"},
    {"x-litellm-spend-logs-metadata", fate::forwarded, "litellm_pre_call_utils"},
    {"x-litellm-team-id", fate::never, "handle_jwt: team"},
    {"x-litellm-user-id", fate::never, "custom_sso_handler: user"},
    {"x-litellm-user-email", fate::never, "custom_sso_handler: user"},
    {"x-litellm-user-role", fate::never, "custom_sso_handler: role"},
    // What is allowed.
    {"x-litellm-model", fate::never, "auth_utils, files, batches: another model than the one checked here"},
    {"x-litellm-disable-callbacks", fate::never, "litellm_pre_call_utils: no logging, no guardrails"},
    {"x-litellm-cli-poll-secret", fate::never, "ui_sso: sign-in of its command line"},
    {"x-litellm-mcp-debug", fate::never, "mcp_debug: shows credentials' sources"},
    // Credentials.
    {"authorization", fate::ours, "user_api_key_auth: this service's key"},
    {"api-key", fate::never, "user_api_key_auth (Azure)"},
    {"x-api-key", fate::never, "user_api_key_auth (Anthropic)"},
    {"x-goog-api-key", fate::never, "user_api_key_auth (Google)"},
    {"ocp-apim-subscription-key", fate::never, "user_api_key_auth (Azure API management)"},
    {"x-litellm-api-key", fate::never, "user_api_key_auth"},
    {"litellm_user_api_key", fate::never, "user_api_key_auth: pass-through"},
    {"x-drain-token", fate::never, "_health_endpoints: drain"},
    {"cookie", fate::never, "its pages' session"},
    {"proxy-authorization", fate::never, "litellm_pre_call_utils: hidden from its logs as a credential"},
    {"sec-websocket-protocol", fate::asked_for,
     "user_api_key_auth: of a WebSocket, which is not spoken here"},
    // MCP.
    {"x-mcp-auth", fate::never, "user_api_key_auth_mcp: credential for a server"},
    {"x-mcp-github-authorization", fate::never, "user_api_key_auth_mcp: credential for one server"},
    {"x-mcp-servers", fate::asked_for, "user_api_key_auth_mcp"},
    {"x-mcp-access-groups", fate::asked_for, "user_api_key_auth_mcp"},
    {"mcp-session-id", fate::asked_for, "mcp_server: its own endpoint"},
    {"mcp-protocol-version", fate::asked_for, "mcp_server: its own endpoint"},
    // Addresses.
    {"host", fate::ours, "network"},
    {"content-length", fate::ours, "request_size_limit_middleware"},
    {"x-forwarded-for", fate::never, "auth_utils, network: the client's address"},
    {"x-forwarded-proto", fate::asked_for, "ip_address_utils: its own address"},
    {"x-forwarded-host", fate::asked_for, "oauth_utils: its own address"},
    {"x-forwarded-port", fate::asked_for, "oauth_utils: its own address"},
});

std::optional<std::string> sent(std::string_view name, std::string_view value,
                                const std::vector<std::string>& extra = {},
                                header_policy policy = header_policy::model_call) {
  const auto out = upstream_value({name, value}, extra, policy);
  return out ? std::optional<std::string>{*out} : std::nullopt;
}

std::string upper(std::string_view text) {
  std::string out{text};
  for (auto& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return out;
}

}  // namespace

TEST_CASE("litellm's headers: each one is treated as the table says, in any letter case",
          "[unit][header_policy]") {
  constexpr std::string_view id = "e96634a3-fa28-4083";
  const std::string mixed = "user.id=7, session.id=abc;p=1,x=2";
  for (const auto& each : all_headers) {
    INFO(each.name << ": " << each.reader);
    const std::vector<std::string> asked{std::string{each.name}};
    for (const auto& name : {std::string{each.name}, upper(each.name)}) {
      const bool is_session = each.what == fate::by_value;
      const bool goes = each.what == fate::forwarded || is_session;
      CHECK(sent(name, id) == (goes ? std::optional{std::string{id}} : std::nullopt));
      CHECK(sent(name, "a b").has_value() == (each.what == fate::forwarded));
      if (each.what == fate::in_part) CHECK(sent(name, mixed) == "session.id=abc");
      CHECK(sent(name, id, {}, header_policy::resource).has_value() == (goes || each.what == fate::resource));
      const bool is_refused = each.what == fate::never || each.what == fate::ours;
      CHECK(never_forwarded(name) == is_refused);
      CHECK(sent(name, "a b", asked).has_value() == !is_refused);
    }
  }
}

TEST_CASE("litellm's headers: whole families never go upstream, whatever the operator adds",
          "[unit][header_policy]") {
  for (const std::string name :
       {"x-litellm-user-anything", "x-litellm-cli-anything", "x-litellm-mcp-anything",
        // These also fit the pattern x-<vendor>-session-id.
        "x-litellm-cli-session-id", "x-litellm-mcp-session-id", "x-litellm-user-session-id"}) {
    INFO(name);
    CHECK(never_forwarded(name));
    CHECK_FALSE(sent(name, "12345678", {name}));
  }
}

TEST_CASE("session headers: a vendor's session id goes upstream if both its name and its value fit",
          "[unit][header_policy]") {
  for (const char* value : {"a", "0123-abc_D.e:f"}) CHECK(sent("X-Acme-Session-Id", value) == value);
  CHECK(sent("x-acme-session-id", std::string(128, 'a')));
  for (const auto& value : {std::string{}, std::string(129, 'a'), std::string{"a b"}, std::string{"a;b"},
                            std::string{"Bearer x"}, std::string{"a/b"}, std::string{"gr\xc3\xbc"}})
    CHECK_FALSE(sent("x-acme-session-id", value));
  for (const char* name :
       {"x-auth-session-id", "x-oauth2-session-id", "x-my-token-session-id", "x-Secret-session-id",
        "x-apikey-session-id", "x-cookie-session-id", "x-user-session-id", "x-aws-session-id",
        "x-amz-session-id", "x-AMZN-session-id", "y-acme-session-id", "x-acme-session-ids", "x-acme-session",
        "x--session-id-", "acme-session-id"}) {
    INFO(name);
    CHECK_FALSE(sent(name, "12345678"));
  }
}

TEST_CASE("session headers: an agent's own headers go upstream, except credentials",
          "[unit][header_policy]") {
  for (const char* name : {"x-codex-turn-state", "X-Codex-Turn-Metadata", "x-codex-window-id",
                           "x-claude-remote-session-id", "X-Claude-Code-Agent-Id"})
    CHECK(sent(name, "anything; at=all") == "anything; at=all");
  for (const char* name : {"x-codex-authorization", "x-claude-api-key", "x-codex-Token", "x-claude-cookie",
                           "x-codex-client-secret", "x-codexa", "xx-claude-a"})
    CHECK_FALSE(sent(name, "1"));
  CHECK(comes_back("X-Codex-Turn-State"));
  CHECK_FALSE(comes_back("x-claude-code-session-id"));
}

TEST_CASE("session headers: only the session of baggage goes upstream", "[unit][header_policy]") {
  CHECK(session_of_baggage("session.id=abc") == "session.id=abc");
  CHECK(session_of_baggage("user.id=1 , session.id=abc ;prop=x , c=d") == "session.id=abc");
  CHECK(session_of_baggage("session.id = abc") == "session.id = abc");
  for (const char* none : {"", ",", "=", "session.id", "session.id=", "session.id=;x=1",
                           "user.id=session.id=1", "session.id2=abc", "x.session.id=abc", "user.id=42"}) {
    INFO(none);
    CHECK(session_of_baggage(none).empty());
    CHECK_FALSE(sent("baggage", none));
  }
  // An operator can forward all of it.
  CHECK(sent("Baggage", "user.id=42", {"baggage"}) == "user.id=42");
}

}  // namespace llm_proxy
